import { Plural, useLingui } from "@lingui/react/macro";
import { useMemo } from "react";

import { cx } from "../ui/cx";
import { diff, type DiffRow } from "./diff";
import styles from "./dialogs.module.css";

const ROWS_MAX = 2000;
const SIGNS = { same: " ", old: "−", new: "+" } as const;

function Row({ row }: { row: DiffRow }) {
  const { t } = useLingui();
  if (row.kind === "gap") {
    return (
      <div className={cx(styles["row"], styles["gap"])}>
        <span className={styles["numbers"]}>⋯</span>
        <Plural value={row.lines} one="# line is the same" other="# lines are the same" />
      </div>
    );
  }
  const label = { same: undefined, old: t`was:`, new: t`is now:` }[row.kind];
  return (
    <div className={cx(styles["row"], row.kind !== "same" && styles[row.kind])}>
      <span className={styles["numbers"]} aria-hidden="true">
        {row.new ?? row.old}
      </span>
      <span className={styles["sign"]} aria-hidden="true">
        {SIGNS[row.kind]}
      </span>
      {label !== undefined && <span className="sr-only">{label} </span>}
      {row.text}
    </div>
  );
}

/** What was changed between two texts. */
export function DiffView({ old, next, label }: { old: string; next: string; label: string }) {
  const rows = useMemo(() => diff(old, next), [old, next]);
  const rest = rows.length - ROWS_MAX;
  return (
    <div className={styles["diff"]} tabIndex={0} role="region" aria-label={label}>
      {rows.slice(0, ROWS_MAX).map((row, at) => (
        <Row key={at} row={row} />
      ))}
      {rest > 0 && (
        <div className={cx(styles["row"], styles["gap"])}>
          <Plural value={rest} one="# more line" other="# more lines" />
        </div>
      )}
    </div>
  );
}
