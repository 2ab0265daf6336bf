import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { dateTime, duration } from "../ui/format";
import { outcomeWords } from "../ui/outcome";
import type { Row } from "./timeCanvas";
import styles from "./TimeTable.module.css";
import { USE_WORDS } from "./words";

const ROWS_MAX = 500;

/** The same as the picture, for readers and for those who want to copy it; made when it is opened. */
export function TimeTable({ rows }: { rows: readonly Row[] }) {
  const { t, i18n } = useLingui();
  const [isOpen, setOpen] = useState(false);
  let node = "";
  const lines = rows.flatMap((row) => {
    if (row.isTitle) node = row.label;
    const title = node;
    return (row.lane?.intervals ?? []).filter((one) => one.use !== "idle").map((interval) => ({ title, index: row.label, interval }));
  });
  lines.sort((a, b) => b.interval.from_s - a.interval.from_s);
  const shown = lines.slice(0, ROWS_MAX);
  return (
    <details className={styles["details"]} open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Trans>As a table</Trans>
      </summary>
      {isOpen && (
        <div className={styles["scroll"]} tabIndex={0} role="region" aria-label={t`What each GPU did, as a table`}>
          <table aria-rowcount={lines.length + 1}>
            <thead>
              <tr>
                <th scope="col">{t`node`}</th>
                <th scope="col">{t`GPU`}</th>
                <th scope="col">{t`what`}</th>
                <th scope="col">{t`from`}</th>
                <th scope="col">{t`for`}</th>
                <th scope="col">{t`outcome`}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(({ title, index, interval }) => (
                <tr key={`${title} ${index} ${interval.from_s}`}>
                  <td>{title}</td>
                  <td>{index}</td>
                  <td>
                    {interval.use === "task" ? (
                      <Link to="/ui/state/$id" params={{ id: interval.task }}>
                        {interval.title || interval.task}
                      </Link>
                    ) : (
                      i18n._(USE_WORDS[interval.use])
                    )}
                  </td>
                  <td>{dateTime(interval.from_s)}</td>
                  <td>{interval.to_s == null ? t`goes on` : duration(interval.to_s - interval.from_s)}</td>
                  <td>{outcomeWords(interval.outcome)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
