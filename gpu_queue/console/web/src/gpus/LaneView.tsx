import { useLingui } from "@lingui/react/macro";
import { memo } from "react";

import type { Lane } from "../api/types";
import { clockTime, duration } from "../ui/format";
import { cx } from "../ui/cx";
import { outcomeWords } from "../ui/outcome";
import { blocks, marks, type Block } from "./lanes";
import styles from "./LaneView.module.css";

function BlockView({ block, title }: { block: Block; title: string }) {
  const { interval } = block;
  const isTask = interval.task !== "";
  return (
    <span
      className={cx(styles["block"], styles[block.kind], interval.is_failure && styles["failed"])}
      style={{ left: `${(block.left * 100).toFixed(2)}%`, width: `${(block.width * 100).toFixed(2)}%` }}
      title={title}
      {...(isTask ? { "data-task": interval.task, "data-open": interval.task } : {})}
    />
  );
}

export interface LaneViewProps {
  lane: Lane | undefined;
  /** The right end, in whole half minutes. */
  to_s: number;
  range_s: number;
}

/** What a GPU did until now. For readers there is a table in the time view. */
export const LaneView = memo(function LaneView({ lane, to_s, range_s }: LaneViewProps) {
  const { t } = useLingui();
  const from_s = to_s - range_s;
  const seen_s = lane?.seen_since_s ?? null;
  const unseen = lane && seen_s !== null && seen_s > from_s ? Math.min(1, (seen_s - from_s) / range_s) : 0;
  const seen = clockTime(seen_s, false);
  const titleOf = ({ interval }: Block): string => {
    const took = duration((interval.to_s ?? to_s) - interval.from_s);
    const name = interval.title || interval.use;
    return `${name} · ${clockTime(interval.from_s, false)} · ${took}${interval.outcome ? ` · ${outcomeWords(interval.outcome)}` : ""}`;
  };
  return (
    <span className={styles["lane"]} aria-hidden="true">
      {marks(range_s).map(({ before_s }) => (
        <span key={before_s} className={styles["mark"]} style={{ left: `${(1 - before_s / range_s) * 100}%` }} />
      ))}
      {unseen > 0.005 && (
        <span className={styles["unseen"]} style={{ width: `${(unseen * 100).toFixed(2)}%` }} title={t`seen since ${seen}`} />
      )}
      {lane &&
        blocks(lane, from_s, to_s).map((block) => (
          <BlockView key={`${block.interval.from_s} ${block.interval.task}`} block={block} title={titleOf(block)} />
        ))}
    </span>
  );
});

/** The axis of all lanes. */
export function LaneAxis({ range_s }: { range_s: number }) {
  const { t } = useLingui();
  return (
    <span className={styles["axis"]}>
      {marks(range_s).map(({ before_s, label }, at) => (
        <span
          key={before_s}
          className={at === 0 ? styles["first"] : styles["tick"]}
          style={{ left: `${(1 - before_s / range_s) * 100}%` }}
        >
          {label}
        </span>
      ))}
      <span className={styles["now_label"]}>{t`now`}</span>
    </span>
  );
}
