import { plural } from "@lingui/core/macro";
import { Trans, useLingui } from "@lingui/react/macro";

import type { ReactNode } from "react";

import type { TaskRow } from "../api/types";
import { Elapsed } from "../live/Elapsed";
import { useEntity } from "../live/hooks";
import { duration, indices } from "../ui/format";
import { outcomeWords } from "../ui/outcome";
import styles from "./TaskPage.module.css";

/** What became of a task, where, and how it was asked for. */
export function Sentence({ row, host, children }: { row: TaskRow; host: string; children?: ReactNode }) {
  const { t } = useLingui();
  const node = useEntity("nodes", row.node);
  const parts: string[] = [];
  if (row.queue) parts.push(t`queue ${row.queue}`);
  parts.push(t`priority ${row.priority}`);
  if (row.user) parts.push(host ? t`by ${`${row.user}@${host}`}` : t`by ${row.user}`);
  return (
    <p className={styles["sentence"]}>
      <State row={row} node={node?.title ?? row.node} /> · {parts.join(" · ")}
      {children}
    </p>
  );
}

function State({ row, node }: { row: TaskRow; node: string }) {
  const { t } = useLingui();
  const numbers = indices(row.gpu_indices);
  const gpus = plural(row.gpu_indices.length, { one: `GPU ${numbers}`, other: `GPUs ${numbers}` });
  const place = row.gpu_indices.length > 0 ? `${node}, ${gpus}` : node;
  if (row.state === "waiting") {
    const waited = <Elapsed since_s={row.submitted_at_s} />;
    const at = (row.place ?? 0) + 1;
    return row.place == null ? <Trans>waiting for {waited}</Trans> : <Trans>waiting for {waited}, at place {at}</Trans>;
  }
  if (row.state === "running") {
    const ran = <Elapsed since_s={row.started_at_s} />;
    const limit = duration(row.limit_s);
    return row.limit_s == null ? (
      <Trans>
        running for {ran} on {place}
      </Trans>
    ) : (
      <Trans>
        running for {ran} of {limit} on {place}
      </Trans>
    );
  }
  const how = outcomeWords(row.outcome);
  const outcome = row.error_type && row.error_type !== "unknown" ? `${how} (${row.error_type})` : how;
  const took = row.started_at_s != null && row.ended_at_s != null ? duration(row.ended_at_s - row.started_at_s) : "";
  const words =
    took && node ? t`${outcome} after ${took} on ${place}` : took ? t`${outcome} after ${took}` : node ? t`${outcome} on ${place}` : outcome;
  return <span className={row.state === "failed" ? styles["failed"] : undefined}>{words}</span>;
}
