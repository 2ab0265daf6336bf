import type { ReactNode } from "react";

import type { Use } from "../api/types";
import { StateShape } from "../ui/StateShape";
import styles from "./UsesBar.module.css";

export interface UsePart {
  use: Use;
  /** Its share of the bar, in any unit. */
  size: number;
  /** What the legend says of it. */
  words: ReactNode;
}

/** What GPUs are used for, as one bar; an empty one where there is nothing. The legend says the same in words. */
export function UsesBar({ parts }: { parts: readonly UsePart[] }) {
  return (
    <div className={styles["bar"]} aria-hidden="true">
      {parts.length === 0 && <span className={styles["none"]} style={{ flexGrow: 1 }} />}
      {parts.map(({ use, size }) => (
        <span key={use} className={styles[use]} style={{ flexGrow: size }} />
      ))}
    </div>
  );
}

export function UsesLegend({ parts, children }: { parts: readonly UsePart[]; children?: ReactNode }) {
  return (
    <ul className={styles["legend"]}>
      {parts.map(({ use, words }) => (
        <li key={use}>
          <StateShape shape={use} size={10} />
          <span>{words}</span>
        </li>
      ))}
      {children}
    </ul>
  );
}
