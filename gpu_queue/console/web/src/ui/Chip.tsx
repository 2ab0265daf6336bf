import type { ReactNode } from "react";

import styles from "./Chip.module.css";
import { cx } from "./cx";

/** A word in a frame: a state of a node, which try. */
export function Chip({ tone = "plain", title, children }: { tone?: "plain" | "notice" | "trouble"; title?: string; children: ReactNode }) {
  return (
    <span className={cx(styles["chip"], styles[tone])} title={title}>
      {children}
    </span>
  );
}
