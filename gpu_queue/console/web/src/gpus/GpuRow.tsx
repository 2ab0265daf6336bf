import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo } from "react";

import type { Lane } from "../api/types";
import { Elapsed } from "../live/Elapsed";
import { useEntity, useLiving, useNow, useRecent } from "../live/hooks";
import { Bar } from "../ui/Bar";
import { cx } from "../ui/cx";
import { duration, gib, UNKNOWN } from "../ui/format";
import { Sparkline } from "../ui/Sparkline";
import { StateShape } from "../ui/StateShape";
import { taskOf } from "./claims";
import styles from "./GpuRow.module.css";
import { LaneView } from "./LaneView";
import { USE_WORDS } from "./words";

/** Where a row stands among those of one task: they are joined by a bar. */
export type Join = "alone" | "first" | "middle" | "last";

const RECENT_S = 120;

function TaskName({ task, isDim, more }: { task: string; isDim: boolean; more: number }) {
  const running = useEntity("running", task);
  const told = taskOf(task);
  const title = running?.title ?? told.title;
  return (
    <>
      <Link to="/ui/state/$id" params={{ id: running?.key ?? told.id }} className={cx(styles["task"], isDim && styles["dim"])} title={title}>
        {title}
      </Link>
      {!isDim && running?.started_at_s != null && (
        <span className={styles["time"]}>
          <Elapsed since_s={running.started_at_s} />
          {running.limit_s != null && <> / {duration(running.limit_s)}</>}
        </span>
      )}
      {more > 0 && <span className={styles["time"]}>+{more}</span>}
    </>
  );
}

/** Utilisation of the last two minutes, with the band of the keep-alive behind it. */
export function RecentLine({ gpu, className }: { gpu: string; className?: string }) {
  const entity = useEntity("gpus", gpu);
  const points = useRecent(gpu);
  const band = useLiving("band");
  const now_s = useNow(2);
  return (
    <Sparkline
      points={points}
      from_s={now_s - RECENT_S}
      to_s={now_s}
      tone={entity?.use ?? "unknown"}
      band={entity?.use === "lost" ? undefined : band}
      className={className}
    />
  );
}

export interface GpuRowProps {
  gpu: string;
  join: Join;
  lane: Lane | undefined;
  to_s: number;
  range_s: number;
}

/** One GPU: what it does now, and what it did. */
export const GpuRow = memo(function GpuRow({ gpu, join, lane, to_s, range_s }: GpuRowProps) {
  const { t, i18n } = useLingui();
  const entity = useEntity("gpus", gpu);
  const running = useEntity("running", entity?.running[0] ?? "");
  if (!entity) return null;
  const { use, index, utilization_percent, memory_used_bytes, memory_total_bytes, power_w, temperature_c } = entity;
  const word = use === "task" ? t`task` : i18n._(USE_WORDS[use]);
  const unread = t`The node could not read it.`;
  const share = memory_used_bytes != null && memory_total_bytes ? memory_used_bytes / memory_total_bytes : null;
  const [task] = entity.running;
  // The id first: lanes and queues know tasks by it, rows by the name of the claim.
  const tasks = [running?.key, ...entity.running].filter(Boolean).join(" ");
  const number = (value: number | null | undefined): string => (value == null ? UNKNOWN : value.toFixed(0));
  return (
    <div role="row" className={styles["row"]} data-gpu={gpu} {...(tasks ? { "data-task": tasks } : {})}>
      <span role="rowheader" className={styles["gpu"]}>
        <Link to="." search={(old) => ({ ...old, gpu })} aria-label={t`GPU ${index}: ${word}`} title={entity.problem || word}>
          <StateShape shape={use} />
          {index}
        </Link>
      </span>
      <span role="cell" className={cx(styles["what"], styles[join])}>
        {use === "task" && task !== undefined ? (
          <TaskName task={task} isDim={join === "middle" || join === "last"} more={entity.running.length - 1} />
        ) : (
          <span className={use === "lost" ? styles["lost"] : styles["word"]} title={entity.problem}>
            {word}
          </span>
        )}
      </span>
      <span role="cell" className={cx(styles["util"], "live")}>
        <RecentLine gpu={gpu} className={styles["spark"]} />
        <span className={styles["strong"]} title={utilization_percent == null ? unread : undefined}>
          {number(utilization_percent)}
        </span>
      </span>
      <span role="cell" className={cx(styles["memory"], "live")}>
        <Bar share={share} tone={use === "keepalive" ? "keepalive" : "plain"} className={styles["bar"]} />
        <span title={memory_used_bytes == null ? unread : undefined}>{gib(memory_used_bytes)}</span>
      </span>
      <span role="cell" className={cx(styles["number"], "live")} title={power_w == null ? unread : undefined}>
        {number(power_w)}
      </span>
      <span role="cell" className={cx(styles["number"], "live")} title={temperature_c == null ? unread : undefined}>
        {number(temperature_c)}
      </span>
      <span role="cell" className={styles["lane"]}>
        <LaneView lane={lane} to_s={to_s} range_s={range_s} />
      </span>
    </div>
  );
});
