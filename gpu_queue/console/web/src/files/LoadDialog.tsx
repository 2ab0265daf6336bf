import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { errorWords } from "../api/said";
import type { Plan } from "../api/types";
import { useSaid } from "../gpus/words";
import { useJob } from "../shell/job";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Dialog } from "../ui/Dialog";
import { Command } from "../ui/Empty";
import { thousands } from "../ui/format";
import { Skeleton } from "../ui/Skeleton";
import styles from "./dialogs.module.css";
import type { Which } from "./names";
import { files, type PlannedLoad } from "./requests";

type LoadTask = PlannedLoad["tasks"][number];
type News = LoadTask["news"];

const QUEUED: ReadonlySet<News> = new Set<News>(["new", "changed", "again", "moved", "retried"]);
const SHOWN = 200;

function useNewsWords(): Record<News, string> {
  const { t } = useLingui();
  return {
    new: t`new`,
    changed: t`changed`,
    again: t`once more`,
    moved: t`moved`,
    retried: t`retried`,
    waits: t`waits already`,
    runs: t`runs already`,
    done: t`done`,
    failed: t`failed`,
    later: t`later: the old one runs`,
  };
}

/** How many tasks a load would queue. */
export function queuedOf(plan: PlannedLoad): number {
  return Object.entries(plan.counts).reduce((sum, [news, count]) => sum + (QUEUED.has(news as News) ? count : 0), 0);
}

function Counts({ plan }: { plan: PlannedLoad }) {
  const words = useNewsWords();
  return (
    <ul className={styles["counts"]}>
      {(Object.keys(words) as News[])
        .filter((news) => (plan.counts[news] ?? 0) > 0)
        .map((news) => (
          <li key={news}>
            <strong>{thousands(plan.counts[news])}</strong> {words[news]}
          </li>
        ))}
      {(plan.taken_count ?? 0) > 0 && (
        <li>
          <strong>{thousands(plan.taken_count)}</strong> <Trans>taken out</Trans>
        </li>
      )}
    </ul>
  );
}

/** A queue as its file calls it: that of a command file is called after the file, too. */
function shortOf(plan: PlannedLoad): (queue: string) => string {
  return (queue) => (plan.mode === "yaml" ? queue : queue.slice(queue.lastIndexOf(".") + 1));
}

function Tasks({ plan }: { plan: PlannedLoad }) {
  const { t } = useLingui();
  const words = useNewsWords();
  const short = shortOf(plan);
  const named = (full: string): string => {
    const queue = short(full);
    return t`queue ${queue}`;
  };
  const rest = plan.tasks.length - SHOWN;
  return (
    <div className={styles["tasks"]} tabIndex={0} role="region" aria-label={t`What is queued`}>
      <ul>
        {plan.tasks.slice(0, SHOWN).map(({ position, news, queue, title, line, key = "" }) => (
          <li key={position} className={styles["task"]}>
            <span className={cx(QUEUED.has(news) && styles["isNew"])}>{words[news]}</span>
            <span className={styles["queue"]} title={queue ?? undefined}>
              {queue === null ? "–" : named(queue)}
            </span>
            {key !== "" && !QUEUED.has(news) ? (
              <Link to="/ui/state/$id" params={{ id: key }}>
                {title}
              </Link>
            ) : (
              <strong>{title}</strong>
            )}
            <span className={styles["line"]}>{t`line ${line}`}</span>
          </li>
        ))}
        {rest > 0 && (
          <li className={styles["task"]}>
            <Plural value={rest} one="# more" other="# more" />
          </li>
        )}
        {(plan.taken ?? []).map(({ key, title, is_gone: isGone }) => (
          <li key={key} className={styles["task"]}>
            <span className={styles["isGone"]}>{t`taken out`}</span>
            <span className={styles["queue"]} />
            <strong>{title}</strong>
            <span className={styles["line"]}>{isGone ? t`gone from the file` : t`queued anew`}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Agents({ plan }: { plan: PlannedLoad }) {
  const job = useJob();
  if ((plan.agents ?? 0) > 0) return null;
  if (plan.starts_agent) {
    return (
      <p className={styles["notice"]}>
        <Trans>No agent serves {job}: one is started on the console's machine.</Trans>
      </p>
    );
  }
  return (
    <div className={styles["words"]}>
      <p className={styles["notice"]}>
        <Trans>No agent serves {job}, and loading starts none: the tasks wait until one does. On a GPU node:</Trans>
      </p>
      <Command text={`./submit.sh ${job} 1`} />
    </div>
  );
}

export interface LoadDialogProps {
  which: Which;
  onClose: () => void;
  onGo: (plan: Plan) => void;
}

/** What a load queues, what it leaves as it is, what it takes out, and where commands run; then it is loaded. */
export function LoadDialog({ which, onClose, onGo }: LoadDialogProps) {
  const { t } = useLingui();
  const said = useSaid();
  const job = useJob();
  const [again, setAgain] = useState(false);
  const found = useQuery({
    queryKey: ["load", job, which.mode, which.index, again],
    queryFn: ({ signal }) => files.plan(job, which, again, signal),
    gcTime: 0,
    staleTime: 0,
  });
  const plan = found.data?.load ?? undefined;
  const count = plan ? queuedOf(plan) : 0;
  const number = thousands(count);
  const file = plan?.file ?? "";
  const pid = plan?.pid ?? 0;
  const isNothing = plan !== undefined && count === 0 && (plan.taken_count ?? 0) === 0;
  return (
    <Dialog
      title={plan ? t`Load ${file}?` : t`What would be loaded …`}
      onClose={onClose}
      wide
      footer={
        <>
          <Button isSafe onClick={onClose}>
            {isNothing ? <Trans>Close</Trans> : <Trans>Not yet</Trans>}
          </Button>
          {plan && !isNothing && (
            <Button variant="primary" disabled={found.isFetching} onClick={() => found.data && onGo(found.data)}>
              <Plural value={count} one="Load 1 task" other={`Load ${number} tasks`} />
            </Button>
          )}
        </>
      }
    >
      {found.isPending && <Skeleton rows={4} />}
      {found.error && (
        <p role="alert" className={styles["problem"]}>
          {errorWords(found.error)}
        </p>
      )}
      {plan && (
        <>
          <div className={styles["words"]}>
            <p>{said(plan.text)}</p>
            <Agents plan={plan} />
          </div>
          <Counts plan={plan} />
          <label className={styles["check"]}>
            <input type="checkbox" checked={again} onChange={(event) => setAgain(event.target.checked)} />
            <Trans>Once more: queue also what runs, is done or has failed</Trans>
          </label>
          <Tasks plan={plan} />
          <p className={styles["hint"]}>
            <Trans>
              For scripts this load is the process {pid}: a number of this queue, no process id of the operating system. <code>POST /api/scheduler/stop/{pid}</code>{" "}
              stops all of it.
            </Trans>
          </p>
        </>
      )}
    </Dialog>
  );
}
