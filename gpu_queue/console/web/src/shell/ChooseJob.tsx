import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";

import { isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import { Empty } from "../ui/Empty";
import { thousands } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./ChooseJob.module.css";
import { useSpools } from "./job";
import { TokenPanel } from "./TokenPanel";

/** Nobody said which queue, and there is none or more than one. */
export function ChooseJob() {
  const { t } = useLingui();
  const spools = useSpools();
  if (spools.isPending) return <Skeleton rows={4} height_px={40} />;
  if (isAccessError(spools.error)) return <TokenPanel />;
  if (spools.error) {
    return (
      <Empty>
        <Trans>The queues could not be listed: {errorWords(spools.error)}</Trans>
      </Empty>
    );
  }
  const root = spools.data.queue_root;
  if (spools.data.spools.length === 0) {
    return (
      <Empty command="./submit.sh JOB_ID">
        <Trans>There is no queue in {root} yet. On a GPU node, with a name of your choice:</Trans>
      </Empty>
    );
  }
  return (
    <Panel title={t`Queues`} aside={root} className={styles["panel"]}>
      <ul>
        {spools.data.spools.map((one) => (
          <li key={one.job}>
            <Link to="." search={{ job: one.job }} className={styles["row"]}>
              <b>{one.job}</b>
              <span>
                <Trans>{thousands(one.counts?.waiting)} wait</Trans>
              </span>
              <span>
                <Trans>{thousands(one.counts?.running)} run</Trans>
              </span>
              <span>
                <Trans>{thousands(one.agents)} agents</Trans>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
