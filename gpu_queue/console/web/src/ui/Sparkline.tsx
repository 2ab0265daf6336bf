import { memo } from "react";

import styles from "./Sparkline.module.css";
import { cx } from "./cx";

export interface Point {
  at_s: number;
  /** null: nobody could read it then; the line has a gap. */
  percent: number | null;
}

export interface SparklineProps {
  points: readonly Point[];
  from_s: number;
  to_s: number;
  /** A lighter strip behind the line, in percent. */
  band?: { low: number; high: number } | undefined;
  tone: "task" | "keepalive" | "idle" | "foreign" | "lost" | "unknown";
  className?: string | undefined;
}

const WIDTH = 120;
const HEIGHT = 100;

/** Stretches of known values as the `d` of a path; the last value goes on to the right end. */
export function linePath(points: readonly Point[], from_s: number, to_s: number, close: boolean): string {
  const span = Math.max(1e-6, to_s - from_s);
  const parts: string[] = [];
  let stretch: string[] = [];
  let startX = 0;
  let lastX = 0;
  const finish = (endX: number): void => {
    const last = stretch.at(-1);
    if (last !== undefined) {
      if (endX > lastX) stretch.push(`L${endX.toFixed(1)} ${last.split(" ")[1]}`);
      parts.push(stretch.join("") + (close ? `L${endX.toFixed(1)} ${HEIGHT}L${startX.toFixed(1)} ${HEIGHT}Z` : ""));
    }
    stretch = [];
  };
  for (const { at_s, percent } of points) {
    const x = Math.min(WIDTH, Math.max(0, ((at_s - from_s) / span) * WIDTH));
    if (percent === null) {
      finish(x);
      continue;
    }
    const y = HEIGHT - Math.min(100, Math.max(0, percent)) * (HEIGHT / 100);
    if (stretch.length === 0) startX = x;
    stretch.push(`${stretch.length === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`);
    lastX = x;
  }
  finish(WIDTH);
  return parts.join("");
}

/** Utilisation over a short time. It is decoration: the number stands beside it. */
export const Sparkline = memo(function Sparkline({ points, from_s, to_s, band, tone, className }: SparklineProps) {
  return (
    <svg
      className={cx(styles["spark"], styles[tone], className)}
      viewBox={`0 -4 ${WIDTH} ${HEIGHT + 8}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {band && (
        <rect className={styles["band"]} x="0" width={WIDTH} y={HEIGHT - band.high} height={band.high - band.low} />
      )}
      <path className={styles["area"]} d={linePath(points, from_s, to_s, true)} />
      <path className={styles["line"]} d={linePath(points, from_s, to_s, false)} vectorEffect="non-scaling-stroke" />
    </svg>
  );
});
