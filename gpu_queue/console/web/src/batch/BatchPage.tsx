import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { IconDownload } from "@tabler/icons-react";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";

import { spool, url } from "../api/base";
import { ApiError, isAccessError } from "../api/client";
import { hours } from "../history/numbers";
import { useNow } from "../live/hooks";
import { useConsoleInfo } from "../shell/console";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { usePlan } from "../tasks/plan/usePlan";
import buttonStyles from "../ui/Button.module.css";
import { Button } from "../ui/Button";
import { Chip } from "../ui/Chip";
import { CopyLink } from "../ui/CopyLink";
import { cx } from "../ui/cx";
import { Empty } from "../ui/Empty";
import { clockTime, dateTime, duration, thousands } from "../ui/format";
import { useTitle } from "../ui/hooks";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./Batch.module.css";
import { useBatch, type Detail } from "./batches";
import { chosen } from "./columns";
import { RunTable } from "./RunTable";
import type { BatchSearch } from "./search";
import { Counts, Progress } from "./words";

const route = getRouteApi("/ui/batch/$key");
const DAY_S = 86_400;

/** When all of it will have ended, as it is reckoned. */
function Expected({ detail }: { detail: Detail }) {
  const now_s = useNow(10);
  const { expected, batch } = detail;
  if (!expected) return batch.counts.running > 0 ? <Trans>nobody can tell yet when it ends</Trans> : <Trans>nothing of it runs now</Trans>;
  const left_s = Math.max(0, expected.until_at_s - now_s);
  const about = duration(Math.round(left_s / 60) * 60 || 60);
  const at = left_s < DAY_S ? clockTime(expected.until_at_s, false) : dateTime(expected.until_at_s).slice(0, 16);
  return expected.is_least ? <Trans>ends in {about} at the least, at {at}</Trans> : <Trans>ends in about {about}, at {at}</Trans>;
}

function Sentence({ detail }: { detail: Detail }) {
  const { batch } = detail;
  const ended = thousands(batch.counts.done + batch.counts.failed + batch.counts.cancelled);
  const total = batch.runs;
  const all = thousands(total);
  return (
    <p className={styles["sentence"]}>
      <Plural value={total} one={`${ended} of 1 run has ended`} other={`${ended} of ${all} runs have ended`} />
      {batch.counts.waiting + batch.counts.running > 0 && (
        <>
          {"; "}
          <Expected detail={detail} />
        </>
      )}
      {batch.user && (
        <>
          {" · "}
          <Trans>by {batch.user}</Trans>
        </>
      )}
      {" · "}
      <span className={styles["file"]}>{batch.files.join(", ")}</span>
    </p>
  );
}

/** What all runs took together, as `gpu-queue report` says it below its table. */
function Sum({ detail }: { detail: Detail }) {
  const { t } = useLingui();
  const { sum } = detail;
  const failures = Object.entries(sum.failed_tries).map(([kind, count]) => `${kind} ${count}`);
  const least = sum.unknown_tries > 0 && sum.gpu_s != null ? ">" : "";
  const facts: [string, string][] = [
    [t`GPU-hours`, `${least}${hours(sum.gpu_s)}`],
    [t`tries`, thousands(sum.tries)],
    [sum.last_ended_at_s == null ? t`from the first start until now` : t`from the first start to the last end`, duration(sum.wall_s)],
    [t`a run waited`, duration(sum.waited_mean_s)],
    [t`GPUs were busy`, sum.utilization_percent == null ? "–" : `${sum.utilization_percent.toFixed(0)} %`],
  ];
  if (failures.length > 0) facts.push([t`failed tries`, failures.join(", ")]);
  const earlier = sum.earlier_tasks;
  const took = hours(sum.earlier_gpu_s);
  return (
    <>
      <dl className={styles["sum"]}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {earlier > 0 && (
        <p className={styles["note"]}>
          <Plural
            value={earlier}
            one={`Not counted: 1 earlier task of these runs, ${took} GPU-hours.`}
            other={`Not counted: # earlier tasks of these runs, ${took} GPU-hours.`}
          />
        </p>
      )}
      {detail.notes.map((note) => (
        <p key={note} className={styles["note"]}>
          {note}
        </p>
      ))}
    </>
  );
}

function Actions({ detail }: { detail: Detail }) {
  const { t } = useLingui();
  const job = useJob();
  const plan = usePlan();
  const isReadOnly = useConsoleInfo().data?.is_read_only ?? false;
  const keys = (state: string): string[] => detail.runs.filter((run) => run.state === state).map((run) => run.key);
  const failed = keys("failed");
  const waiting = keys("waiting");
  const running = keys("running");
  const left = running.length + waiting.length;
  const csv = url(spool(job, "batches", detail.batch.key, "csv"));
  return (
    <div className={styles["actions"]}>
      {!isReadOnly && failed.length > 0 && (
        <Button variant="primary" onClick={() => plan({ action: "retry", tasks: failed })}>
          <Plural value={failed.length} one="Retry 1 failed" other="Retry # failed" />
        </Button>
      )}
      {!isReadOnly && running.length > 0 && (
        <Button variant="danger" onClick={() => plan({ action: "stop", tasks: [...running, ...waiting] })}>
          <Plural value={left} one="Stop 1 that is left" other="Stop # that are left" />
        </Button>
      )}
      {!isReadOnly && waiting.length > 0 && (
        <Button variant="danger" onClick={() => plan({ action: "cancel", tasks: waiting })}>
          <Plural value={waiting.length} one="Cancel 1 that waits" other="Cancel # that wait" />
        </Button>
      )}
      <a href={csv} download className={cx(buttonStyles["button"], buttonStyles["bare"], buttonStyles["icon"])} aria-label={t`Download as CSV`} title={t`Download as CSV`}>
        <IconDownload size={16} stroke={1.6} aria-hidden="true" />
      </a>
      <CopyLink job={job} />
    </div>
  );
}

function Loaded({ detail }: { detail: Detail }) {
  const { t } = useLingui();
  const search = route.useSearch();
  const navigate = useNavigate();
  const { batch } = detail;
  const runs = chosen(detail.runs, search.sort, search.state, search.q ?? "");
  const set = (change: Partial<BatchSearch>): void => void navigate({ to: ".", search: (old) => ({ ...old, ...change }), replace: true });
  const shown = thousands(runs.length);
  const number = thousands(detail.unread);

  useTitle(batch.name);

  return (
    <>
      <header className={styles["head"]}>
        <h1>{batch.name}</h1>
        <Chip>{batch.kind === "experiment" ? t`experiment` : t`command file`}</Chip>
        <Actions detail={detail} />
      </header>
      <Sentence detail={detail} />
      <Progress batch={batch} />
      <Counts batch={batch} state={search.state} onState={(state) => set({ state })} />
      <Panel className={styles["panel"]}>
        <Sum detail={detail} />
      </Panel>
      <div className={styles["tools"]}>
        <input
          type="search"
          className={styles["words"]}
          placeholder={t`Filter`}
          aria-label={t`Filter the runs`}
          maxLength={200}
          spellCheck={false}
          autoComplete="off"
          value={search.q ?? ""}
          onChange={(event) => set({ q: event.target.value || undefined })}
        />
        <Link to="/ui/batch" className={styles["back"]}>
          <Trans>All batches</Trans>
        </Link>
        <span className={styles["note"]} role="status">
          <Plural value={runs.length} one="1 run" other={`${shown} runs`} />
          {detail.unread > 0 && (
            <>
              {"; "}
              <Plural value={detail.unread} one="the record of 1 is still read" other={`the records of ${number} are still read`} />
            </>
          )}
        </span>
      </div>
      <Panel className={styles["panel"]}>
        {runs.length === 0 ? (
          <Empty>
            <Trans>No run matches.</Trans>
          </Empty>
        ) : (
          <RunTable detail={detail} runs={runs} sort={search.sort} onSort={(sort) => set({ sort })} />
        )}
        {detail.is_cut && (
          <p className={styles["note"]}>
            <Trans>Only the first 5,000 are shown.</Trans>
          </p>
        )}
      </Panel>
    </>
  );
}

/** One command file's tasks, or one group of an experiment: how far it is, what it took, what failed. */
export function BatchPage() {
  const { key } = route.useParams();
  const { data, error } = useBatch(key);
  if (data) return <Loaded key={data.batch.key} detail={data} />;
  if (isAccessError(error)) return <TokenPanel />;
  if (error) {
    const isGone = error instanceof ApiError && error.code === "no_such_batch";
    return (
      <Panel>
        <Empty>
          {isGone ? <Trans>There is no such batch in this queue; its tasks may have been removed.</Trans> : error.message}{" "}
          <Link to="/ui/batch" className={styles["back"]}>
            <Trans>All batches</Trans>
          </Link>
        </Empty>
      </Panel>
    );
  }
  return <Skeleton rows={14} />;
}
