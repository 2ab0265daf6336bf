import type { ReactNode } from "react";

import styles from "./settings.module.css";

/** One setting: its name, what it is now, and a word about it. */
export function Row({ label, hint, labelFor, children }: { label: ReactNode; hint?: ReactNode; labelFor?: string; children: ReactNode }) {
  return (
    <div className={styles["row"]}>
      {labelFor === undefined ? <span className={styles["label"]}>{label}</span> : <label htmlFor={labelFor} className={styles["label"]}>{label}</label>}
      <div className={styles["value"]}>
        {children}
        {hint && <p className={styles["hint"]}>{hint}</p>}
      </div>
    </div>
  );
}
