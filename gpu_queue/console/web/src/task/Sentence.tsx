import { useLingui } from "@lingui/react/macro";

import type { TaskRow } from "../api/types";
import { Elapsed } from "../live/Elapsed";
import { useEntity } from "../live/hooks";
import { duration, indices } from "../ui/format";
import styles from "./TaskPage.module.css";

/** What became of a task, where, and how it was asked for. */
export function Sentence({ row, host }: { row: TaskRow; host: string }) {
  const { t } = useLingui();
  const node = useEntity("nodes", row.node);
  const parts: string[] = [];
  if (row.queue) parts.push(t`queue ${row.queue}`);
  parts.push(t`priority ${row.priority}`);
  if (row.user) parts.push(host ? t`by ${`${row.user}@${host}`}` : t`by ${row.user}`);
  const where: string[] = [];
  if (row.node) where.push(node?.title ?? row.node);
  if (row.gpu_indices.length > 0) where.push(`GPU ${indices(row.gpu_indices)}`);
  const took = row.started_at_s != null && row.ended_at_s != null ? duration(row.ended_at_s - row.started_at_s) : "";
  const rest = parts.join(" · ");
  return (
    <p className={styles["sentence"]}>
      {row.state === "waiting" && (
        <>
          {row.place == null ? t`waits` : t`waits at place ${row.place + 1}`}, <Elapsed since_s={row.submitted_at_s} />
        </>
      )}
      {row.state === "running" && (
        <>
          {t`running`} <Elapsed since_s={row.started_at_s} />
          {row.limit_s != null && ` / ${duration(row.limit_s)}`}
        </>
      )}
      {(row.state === "done" || row.state === "failed") && (
        <span className={row.state === "failed" ? styles["failed"] : undefined}>
          {took ? t`${row.outcome} after ${took}` : row.outcome}
          {row.error_type && row.error_type !== "unknown" ? ` (${row.error_type})` : ""}
        </span>
      )}
      {where.length > 0 && ` · ${where.join(", ")}`}
      {` · ${rest}`}
    </p>
  );
}
