import { useLingui } from "@lingui/react/macro";

import { cx } from "../ui/cx";
import type { DiffLine } from "./requests";
import styles from "./rule.module.css";

const SIGNS = { same: " ", removed: "−", added: "+", gap: "" } as const;

/** Lines that go and come, with those around them. */
export function DiffView({ lines }: { lines: readonly DiffLine[] }) {
  const { t } = useLingui();
  const words = { same: "", removed: t`removed`, added: t`added`, gap: "" };
  return (
    <div className={styles["diff"]} role="group" aria-label={t`Difference`} tabIndex={0}>
      {lines.map((one, at) =>
        one.kind === "gap" ? (
          <div key={at} className={styles["gap"]} aria-hidden="true">
            ⋯
          </div>
        ) : (
          <div key={at} className={cx(styles["line"], styles[one.kind])}>
            <span className={styles["number"]}>{one.new ?? one.old}</span>
            <span aria-hidden="true">{SIGNS[one.kind]}</span>
            <code>
              {words[one.kind] && <span className="sr-only">{words[one.kind]} </span>}
              {one.text}
            </code>
          </div>
        ),
      )}
    </div>
  );
}
