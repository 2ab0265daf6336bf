import { useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo } from "react";

import { useEntity } from "../live/hooks";
import { Bar } from "../ui/Bar";
import { cx } from "../ui/cx";
import { UNKNOWN } from "../ui/format";
import { StateShape } from "../ui/StateShape";
import { RecentLine } from "./GpuRow";
import { taskOf } from "./claims";
import styles from "./GpuTile.module.css";
import { USE_WORDS } from "./words";

/** One GPU as a tile: shape, index, utilisation, task; memory is the line at its foot. */
export const GpuTile = memo(function GpuTile({ gpu, isDense }: { gpu: string; isDense: boolean }) {
  const { t, i18n } = useLingui();
  const entity = useEntity("gpus", gpu);
  const running = useEntity("running", entity?.running[0] ?? "");
  if (!entity) return null;
  const { use, index, utilization_percent, memory_used_bytes, memory_total_bytes } = entity;
  const word = use === "task" ? (running?.title ?? (entity.running[0] ? taskOf(entity.running[0]).title : t`task`)) : i18n._(USE_WORDS[use]);
  const tasks = [running?.key, ...entity.running].filter(Boolean).join(" ");
  const percent = utilization_percent == null ? UNKNOWN : String(utilization_percent);
  const tone = use === "keepalive" ? "keepalive" : use === "task" ? "busy" : "plain";
  return (
    <li className={cx(styles["tile"], styles[use], isDense && styles["dense"])} {...(tasks ? { "data-task": tasks } : {})}>
      <Link
        to="."
        search={(old) => ({ ...old, gpu })}
        className={styles["link"]}
        title={entity.problem || word}
      >
        <span className={styles["index"]}>
          <StateShape shape={use} />
          <span>
            <span className="sr-only">GPU </span>
            {index}
          </span>
        </span>
        <span className={cx(styles["percent"], "live")}>
          {percent}
          <small> %</small>
        </span>
        <span className={styles["word"]}>{word}</span>
        {!isDense && <RecentLine gpu={gpu} className={styles["spark"] ?? ""} />}
        <Bar
          className={cx(styles["memory"], "live")}
          share={memory_used_bytes != null && memory_total_bytes ? memory_used_bytes / memory_total_bytes : null}
          tone={tone}
        />
      </Link>
    </li>
  );
});
