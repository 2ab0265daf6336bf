import type { ReactNode } from "react";

import styles from "./Banner.module.css";
import { cx } from "./cx";

/** A line over the page about something that holds for all of it. */
export function Banner({ tone = "notice", children }: { tone?: "notice" | "trouble"; children: ReactNode }) {
  return (
    <div className={cx(styles["banner"], styles[tone])} role={tone === "trouble" ? "alert" : "status"}>
      {children}
    </div>
  );
}
