import type { HTMLAttributes, ReactNode } from "react";

import { cx } from "./cx";
import styles from "./Panel.module.css";

export interface PanelProps extends Omit<HTMLAttributes<HTMLElement>, "title"> {
  title?: ReactNode;
  /** A number beside the title. */
  count?: ReactNode;
  /** At the right end of the head. */
  aside?: ReactNode;
}

/** A bordered box with a head. */
export function Panel({ title, count, aside, className, children, ...rest }: PanelProps) {
  return (
    <section className={cx(styles["panel"], className)} {...rest}>
      {title !== undefined && (
        <header className={styles["head"]}>
          <h2>{title}</h2>
          {count !== undefined && <span className={styles["count"]}>{count}</span>}
          <span className={styles["aside"]}>{aside}</span>
        </header>
      )}
      {children}
    </section>
  );
}
