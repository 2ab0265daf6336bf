import { Trans, useLingui } from "@lingui/react/macro";

import type { TaskDetail } from "../api/types";
import { useEntity } from "../live/hooks";
import { useSaid } from "../gpus/words";
import { useIsReadOnly } from "../shell/console";
import { usePlan } from "../tasks/plan/usePlan";
import { Button } from "../ui/Button";
import { thousands } from "../ui/format";
import { Panel } from "../ui/Panel";
import { outcomeWords } from "../ui/outcome";
import styles from "./TaskPage.module.css";

/** So many tasks have their reasons on a node's page. */
const TOLD_MAX = 100;

function NodeName({ node }: { node: string }) {
  const known = useEntity("nodes", node);
  return node === "" ? <Trans>everywhere</Trans> : <>{known?.title ?? node}</>;
}

/** Why a task waits, or why it ended as it did. */
export function WhyTab({ detail }: { detail: TaskDetail }) {
  const { t } = useLingui();
  const said = useSaid();
  const plan = usePlan();
  const isReadOnly = useIsReadOnly();
  const { row } = detail;
  const place = thousands((row.place ?? 0) + 1);
  const last = detail.tries[detail.tries.length - 1];
  return (
    <Panel
      title={row.state === "waiting" ? t`Why it waits` : t`How it went`}
      aside={
        row.state === "waiting" &&
        isReadOnly === false && (
          <Button size="small" onClick={() => plan({ action: "explain", tasks: [row.key] })}>
            <Trans>Ask the agents</Trans>
          </Button>
        )
      }
    >
      {row.state === "waiting" && row.why.length === 0 && (row.place ?? 0) >= TOLD_MAX && (
        <p className={styles["why"]}>
          <Trans>It is no. {place} in run order; agents tell why the first {TOLD_MAX} wait.</Trans>
        </p>
      )}
      {row.state === "waiting" && row.why.length === 0 && (row.place ?? 0) < TOLD_MAX && (
        <p className={styles["why"]}>
          <Trans>No agent has said anything about it yet: each looks at what waits about once a second.</Trans>
        </p>
      )}
      {row.why.map((one, at) => (
        <p key={at} className={styles["why"]}>
          <b>
            <NodeName node={one.node} />
          </b>
          {": "}
          {said(one.text)}
        </p>
      ))}
      {row.state === "running" && (
        <p className={styles["why"]}>
          <Trans>
            It runs on <NodeName node={row.node} />, try {row.tries ?? 1}.
          </Trans>
        </p>
      )}
      {(row.state === "done" || row.state === "failed") && (
        <p className={styles["why"]}>
          <b>{outcomeWords(row.outcome)}</b>
          {row.error_type && row.error_type !== "unknown" && ` · ${row.error_type}`}
          {last?.reason && ` · ${last.reason}`}
          {last?.problem && ` · ${last.problem}`}
        </p>
      )}
      {detail.after.length > 0 && (
        <p className={styles["why"]}>
          <Trans>It comes after:</Trans> {detail.after.map((one) => `${one.title} (${one.short}): ${one.state}`).join(", ")}
        </p>
      )}
    </Panel>
  );
}
