import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";

import type { TaskDetail } from "../api/types";
import { useMap } from "../live/hooks";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { dateTime, duration, gib, indices, UNKNOWN } from "../ui/format";
import { Panel } from "../ui/Panel";
import { outcomeWords } from "../ui/outcome";
import styles from "./TaskPage.module.css";

/** Each time that it was run. */
export function TriesTab({ detail }: { detail: TaskDetail }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const nodes = useMap("nodes") ?? {};
  if (detail.tries.length === 0)
    return (
      <Panel>
        <Empty>
          <Trans>It has not been tried yet.</Trans>
        </Empty>
      </Panel>
    );
  return (
    <Panel>
      <div className={styles["scroller"]} tabIndex={0} role="region" aria-label={t`Tries`}>
        <table className={styles["table"]}>
          <thead>
            <tr>
              <th scope="col">{t`try`}</th>
              <th scope="col">{t`outcome`}</th>
              <th scope="col">{t`where`}</th>
              <th scope="col">{t`started`}</th>
              <th scope="col">{t`took`}</th>
              <th scope="col">{t`most memory`}</th>
              <th scope="col">{t`mean use`}</th>
              <th scope="col">{t`log`}</th>
            </tr>
          </thead>
          <tbody>
            {[...detail.tries].reverse().map((one) => {
              const peaks = one.usage.flatMap((use) => (use.memory_peak_bytes == null ? [] : [use.memory_peak_bytes]));
              const means = one.usage.flatMap((use) => (use.utilization_mean_percent == null ? [] : [use.utilization_mean_percent]));
              const mean = means.length > 0 ? `${Math.round(means.reduce((a, b) => a + b, 0) / means.length)} %` : UNKNOWN;
              return (
                <tr key={one.token}>
                  <td>{one.number}</td>
                  <td>
                    {outcomeWords(one.outcome) || (one.status == null ? t`runs` : String(one.status))}
                    {one.error_type && one.error_type !== "unknown" && ` · ${one.error_type}`}
                    {(one.reason || one.problem) && <div className={styles["dim"]}>{one.reason || one.problem}</div>}
                  </td>
                  <td>
                    {nodes[one.node]?.title ?? one.node}
                    {one.gpu_indices.length > 0 && ` · GPU ${indices(one.gpu_indices)}`}
                  </td>
                  <td>{dateTime(one.started_at_s)}</td>
                  <td>{duration(one.duration_s ?? (one.started_at_s != null && one.ended_at_s != null ? one.ended_at_s - one.started_at_s : null))}</td>
                  <td>{peaks.length > 0 ? `${gib(Math.max(...peaks))} GiB` : UNKNOWN}</td>
                  <td>{mean}</td>
                  <td>
                    {detail.logs.some((log) => log.source === one.token) && (
                      <Button
                        size="small"
                        onClick={() => void navigate({ to: ".", search: (old) => ({ ...old, tab: undefined, source: one.token, at: undefined }) })}
                      >
                        <Trans>Show</Trans>
                      </Button>
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
