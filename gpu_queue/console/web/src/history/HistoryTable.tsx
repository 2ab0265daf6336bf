import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";

import { USE_WORDS } from "../gpus/words";
import { dateTime, power, UNKNOWN } from "../ui/format";
import styles from "./History.module.css";
import { ORDER } from "./order";
import type { Usage } from "./usage";

/** The same as the pictures, for readers and for those who want to copy it; made when it is opened. */
export function HistoryTable({ usage }: { usage: Usage }) {
  const { t, i18n } = useLingui();
  const [isOpen, setOpen] = useState(false);
  const by = new Map(usage.uses.map((one) => [one.use, one.gpus]));
  const percents = (value: number | null | undefined): string => (value == null ? UNKNOWN : value.toFixed(0));
  const count = (value: number | null | undefined): string => (value == null ? UNKNOWN : value.toFixed(1));
  const steps = usage.at_s.map((_, at) => at).toReversed();
  return (
    <details className={styles["details"]} open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Trans>As a table</Trans>
      </summary>
      {isOpen && (
        <div className={styles["scroll"]} tabIndex={0} role="region" aria-label={t`What GPUs did, as a table`}>
          <table aria-rowcount={steps.length + 1}>
            <thead>
              <tr>
                <th scope="col">{t`from`}</th>
                <th scope="col">{t`utilisation %`}</th>
                <th scope="col">{usage.spread === "one" ? t`least – most` : t`10 % – 90 % of GPUs`}</th>
                <th scope="col">{t`power`}</th>
                {ORDER.map((use) => (
                  <th key={use} scope="col">
                    {use === "task" ? t`tasks` : i18n._(USE_WORDS[use])}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {steps.map((at) => (
                <tr key={usage.at_s[at]}>
                  <th scope="row">{dateTime(usage.at_s[at]).slice(0, 16)}</th>
                  <td>{percents(usage.mean_percent[at])}</td>
                  <td>
                    {percents(usage.low_percent[at])} – {percents(usage.high_percent[at])}
                  </td>
                  <td>{power(usage.power_w[at])}</td>
                  {ORDER.map((use) => (
                    <td key={use}>{count(by.get(use)?.[at])}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
