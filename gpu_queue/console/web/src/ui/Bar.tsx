import { cx } from "./cx";
import styles from "./Bar.module.css";

export interface BarProps {
  /** 0 to 1; null: nobody knows, and the bar is empty. */
  share: number | null;
  tone?: "busy" | "keepalive" | "foreign" | "plain";
  /** For readers; without one the number stands beside the bar. */
  label?: string;
  thin?: boolean;
  className?: string | undefined;
}

/** How much of a whole is used. */
export function Bar({ share, tone = "plain", label, thin, className }: BarProps) {
  const percent = share === null ? 0 : Math.round(Math.min(1, Math.max(0, share)) * 1000) / 10;
  return (
    <span
      className={cx(styles["bar"], thin && styles["thin"], className)}
      {...(label === undefined
        ? { "aria-hidden": true }
        : { role: "meter", "aria-label": label, "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100 })}
    >
      <span className={cx(styles["fill"], styles[tone])} style={{ width: `${percent}%` }} />
    </span>
  );
}
