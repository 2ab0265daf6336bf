import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";

import { spool } from "../api/base";
import { client, isAccessError } from "../api/client";
import { errorWords, listed, said } from "../api/said";
import type { Plan, Wire } from "../api/types";
import { useConsoleInfo } from "../shell/console";
import { useJob } from "../shell/job";
import { useTrouble, useUndo } from "../tasks/plan/PlanHost";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { dateTime, thousands } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./settings.module.css";

type Action = Wire<"Action">;

const REFRESH_MS = 5000;

function useActionWords(): (action: string) => string {
  const { t } = useLingui();
  const words: Record<string, string> = {
    stop: t`Stop`,
    cancel: t`Cancel`,
    retry: t`Retry`,
    priority: t`Priority`,
    pause: t`Pause`,
    resume: t`Resume`,
    drain: t`Drain`,
    keepalive_on: t`Keep-alive on`,
    keepalive_off: t`Keep-alive off`,
    shutdown: t`Shut down`,
    forget: t`Forget`,
    explain: t`Explain`,
    submit: t`Submit`,
    policy: t`Policy`,
    undo: t`Undo`,
  };
  return (action) => words[action] ?? action;
}

function UndoButton({ one }: { one: Action }) {
  const { t } = useLingui();
  const job = useJob();
  const queries = useQueryClient();
  const undo = useUndo();
  const trouble = useTrouble();
  const { plan = "" } = one;
  const summary = said(one.summary.text);
  const go = (): void => {
    client
      .get<Plan>(spool(job, "plans", plan))
      .then((found) => undo(found, () => void queries.invalidateQueries({ queryKey: ["actions", job] })), trouble);
  };
  return (
    <Button size="small" aria-label={t`Undo: ${summary}`} onClick={go}>
      <Trans>Undo</Trans>
    </Button>
  );
}

function Outcome({ one }: { one: Action }) {
  const { t } = useLingui();
  if (one.state === "running") return <Trans>under way</Trans>;
  const words: Record<string, (count: string) => string> = {
    done: (count) => t`${count} done`,
    gone: (count) => t`${count} gone`,
    refused: (count) => t`${count} refused`,
    unknown: (count) => t`${count} unknown`,
  };
  const counts = Object.entries(words).flatMap(([what, word]) => {
    const count = one.counts[what] ?? 0;
    return count > 0 ? [word(thousands(count))] : [];
  });
  const problem = one.problem ? [said(one.problem.text)] : [];
  return <>{listed([...counts, ...problem]) || <Trans>nothing</Trans>}</>;
}

function Line({ one, canUndo }: { one: Action; canUndo: boolean }) {
  const actionWords = useActionWords();
  return (
    <tr>
      <td className={styles["when"]}>{dateTime(one.at_s)}</td>
      <td>{actionWords(one.action)}</td>
      <td className={styles["summary"]}>{said(one.summary.text)}</td>
      <td className={styles["outcome"]}>
        <Outcome one={one} />
      </td>
      <td className={styles["who"]}>{one.who}</td>
      <td>{canUndo && one.can_undo && one.plan && <UndoButton one={one} />}</td>
    </tr>
  );
}

/** The last changes that were made through this console, with a way back. */
export function ActionsPanel() {
  const { t } = useLingui();
  const job = useJob();
  const info = useConsoleInfo();
  const found = useQuery({
    queryKey: ["actions", job],
    queryFn: ({ signal }) => client.get<Action[]>(spool(job, "actions"), { signal }),
    refetchInterval: REFRESH_MS,
  });
  const rows = found.data ?? [];
  return (
    <Panel title={t`Past actions`} aside={t`the last 200`} className={styles["panel"]}>
      {found.isPending && <Skeleton rows={3} />}
      {found.isError && <Empty>{isAccessError(found.error) ? <Trans>These need the token.</Trans> : errorWords(found.error)}</Empty>}
      {found.isSuccess && rows.length === 0 && (
        <Empty>
          <Trans>Nothing was changed through this console yet.</Trans>
        </Empty>
      )}
      {rows.length > 0 && (
        <div className={styles["scroll"]} tabIndex={0} role="region" aria-label={t`Past actions`}>
          <table className={styles["actions"]}>
            <thead>
              <tr>
                <th scope="col">{t`when`}</th>
                <th scope="col">{t`action`}</th>
                <th scope="col">{t`what`}</th>
                <th scope="col">{t`outcome`}</th>
                <th scope="col">{t`who`}</th>
                <th scope="col">
                  <span className="sr-only">{t`Undo`}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((one, at) => (
                <Line key={`${one.at_s} ${at}`} one={one} canUndo={!(info.data?.is_read_only ?? false)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
