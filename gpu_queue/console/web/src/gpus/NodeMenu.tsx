import { useLingui } from "@lingui/react/macro";
import { IconDots } from "@tabler/icons-react";
import { lazy, Suspense, useState } from "react";

import type { Node } from "../api/types";
import { useConsoleInfo } from "../shell/console";
import { usePlan } from "../tasks/plan/usePlan";
import { Menu, type MenuItem } from "../ui/Menu";
import styles from "./NodeMenu.module.css";

const NodeText = lazy(() => import("./NodeText").then((room) => ({ default: room.NodeText })));

/** What can be done with a node. */
export function NodeMenu({ nodeKey, node }: { nodeKey: string; node: Node }) {
  const { t } = useLingui();
  const plan = usePlan();
  const info = useConsoleInfo();
  const [isTextOpen, setTextOpen] = useState(false);
  const { title, presence } = node;
  const nodes = [nodeKey];
  const items: MenuItem[] = [{ id: "text", label: t`What its agent tells`, run: () => setTextOpen(true) }];
  if (info.data?.is_read_only !== true) {
    if (presence === "alive" || presence === "unknown") {
      items.push(
        {
          id: "wait",
          label: t`Shut it down after its tasks …`,
          isDanger: true,
          run: () => plan({ action: "shutdown", nodes, wait: true }),
        },
        { id: "now", label: t`Shut it down now; its tasks wait again …`, isDanger: true, run: () => plan({ action: "shutdown", nodes }) },
      );
    }
    if (presence === "silent" || presence === "stopped") {
      items.push({ id: "forget", label: t`Forget it …`, isDanger: true, run: () => plan({ action: "forget", nodes }) });
    }
  }
  return (
    <>
      <Menu
        label={t`More for ${title}`}
        align="end"
        className={styles["opener"]}
        button={<IconDots size={14} aria-hidden="true" />}
        items={items}
      />
      {isTextOpen && (
        <Suspense>
          <NodeText nodeKey={nodeKey} title={title} onClose={() => setTextOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
