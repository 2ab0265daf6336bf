import { useLingui } from "@lingui/react/macro";
import { IconDots } from "@tabler/icons-react";

import { useEntity } from "../live/hooks";
import { usePlan } from "../tasks/plan/usePlan";
import { Menu, type MenuItem } from "../ui/Menu";
import styles from "./QueueMenu.module.css";

/** What can be done with all nodes of the queue. */
export function QueueMenu() {
  const { t } = useLingui();
  const plan = usePlan();
  const isDraining = useEntity("flags", "draining") !== undefined;
  const isOff = useEntity("flags", "keepalive-off") !== undefined;
  const items: MenuItem[] = [
    { id: "drain", label: t`Drain: agents end with their tasks`, isDisabled: isDraining, run: () => plan({ action: "drain" }) },
    isOff
      ? { id: "keepalive", label: t`Keep-alive on`, run: () => plan({ action: "keepalive_on" }) }
      : { id: "keepalive", label: t`Keep-alive off`, run: () => plan({ action: "keepalive_off" }) },
    {
      id: "wait",
      label: t`Shut all nodes down after their tasks …`,
      isDanger: true,
      run: () => plan({ action: "shutdown", wait: true }),
    },
    { id: "now", label: t`Shut all nodes down now …`, isDanger: true, run: () => plan({ action: "shutdown" }) },
  ];
  return (
    <Menu
      label={t`More for the whole queue`}
      align="end"
      className={styles["opener"]}
      button={<IconDots size={16} aria-hidden="true" />}
      items={items}
    />
  );
}
