import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { client } from "../api/client";
import { errorWords } from "../api/said";
import type { Wire } from "../api/types";
import { useSaid } from "../gpus/words";
import { useEntity, useLiving, useMap } from "../live/hooks";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { isAccessError } from "../api/client";
import { Chip } from "../ui/Chip";
import { Empty } from "../ui/Empty";
import { thousands, UNKNOWN } from "../ui/format";
import { Skeleton } from "../ui/Skeleton";
import { StateShape, type Shape } from "../ui/StateShape";
import styles from "./GroupedTasks.module.css";

type Scheduler = Wire<"Scheduler"> & { file?: string };
type Queue = Wire<"SchedulerQueue">;
type Process = Wire<"Process">;

const REFRESH_MS = 3000;
const SHOWN_MAX = 50;
const SHAPES: Record<Process["state"], Shape> = { pending: "waiting", running: "running", completed: "done", failed: "failed" };

/** The same queues of several files are one. */
function byQueue(all: readonly Scheduler[]): Queue[] {
  const found = new Map<string | null, Queue>();
  for (const one of all.flatMap((scheduler) => scheduler.queues)) {
    const old = found.get(one.queue);
    if (!old) found.set(one.queue, one);
    else {
      found.set(one.queue, {
        ...old,
        state: old.state === "busy" ? "busy" : one.state,
        pending: old.pending + one.pending,
        running: old.running + one.running,
        processes: [...old.processes, ...one.processes],
      });
    }
  }
  return [...found.values()];
}

function Line({ one }: { one: Process }) {
  const { t } = useLingui();
  const nodes = useMap("nodes");
  const words = { pending: t`waiting`, running: t`running`, completed: t`done`, failed: t`failed` };
  const node = nodes?.[one.node ?? ""]?.title ?? one.node;
  const list = (one.gpus ?? []).join(", ");
  // The document's path tells reasons in English; of the first that wait they are here in both languages.
  const said = useSaid();
  const why = useEntity("waiting", one.id)?.why[0];
  const reason = why ? said(why.text) : one.reason;
  return (
    <li className={styles["line"]}>
      <StateShape shape={SHAPES[one.state]} label={words[one.state]} />
      {one.pid === null ? (
        <span className={styles["title"]}>{one.name}</span>
      ) : (
        <Link to="/ui/state/$id" params={{ id: one.id }} className={styles["title"]}>
          {one.name}
        </Link>
      )}
      <span className={styles["where"]}>{one.state === "running" ? [node, list].filter(Boolean).join(" · GPU ") : reason}</span>
    </li>
  );
}

function QueueGroup({ one }: { one: Queue }) {
  const { t } = useLingui();
  const { queue, processes } = one;
  const rest = processes.length - SHOWN_MAX;
  const more = thousands(rest);
  const waiting = thousands(one.pending);
  const running = thousands(one.running);
  const done = thousands(one.completed);
  const failed = thousands(one.failed);
  return (
    <details className={styles["group"]} open>
      <summary>
        <strong>{queue ?? t`no queue`}</strong>
        {queue !== null && (
          <Chip tone={one.state === "busy" ? "notice" : "plain"}>{one.state === "busy" ? t`BUSY` : t`IDLE`}</Chip>
        )}
        <span className={styles["counts"]}>
          <Trans>
            {waiting} waiting · {running} running
          </Trans>
          {done !== UNKNOWN && queue !== null && (
            <>
              {" · "}
              <Trans>
                {done} done · {failed} failed
              </Trans>
            </>
          )}
        </span>
      </summary>
      <ul aria-label={queue ?? t`no queue`}>
        {processes.slice(0, SHOWN_MAX).map((process) => (
          <Line key={process.id} one={process} />
        ))}
        {rest > 0 && (
          <li className={styles["more"]}>
            {queue === null ? (
              <Plural value={rest} one="and 1 more" other={`and ${more} more`} />
            ) : (
              <Link to="/ui/state" search={{ queue }}>
                <Plural value={rest} one="and 1 more …" other={`and ${more} more …`} />
              </Link>
            )}
          </li>
        )}
      </ul>
    </details>
  );
}

function FileGroup({ one }: { one: Scheduler }) {
  const { t } = useLingui();
  const { mode } = one;
  const index = (one.config_index ?? 0) + 1;
  return (
    <section className={styles["file"]} aria-label={one.file || t`of no job file`}>
      <div className={styles["fileHead"]}>
        <h2>{mode === null ? <Trans>of no job file</Trans> : <Trans>{one.file} · {mode} · configuration {index}</Trans>}</h2>
        {one.file && (
          <Link to="/ui/batch" search={{ file: one.file }} className={styles["batch"]}>
            <Trans>All of it, also what has ended</Trans>
          </Link>
        )}
      </div>
      {one.queues.map((queue) => (
        <QueueGroup key={queue.queue ?? ""} one={queue} />
      ))}
    </section>
  );
}

/** What waits and runs as a tree: queue → tasks, or job file → queue → tasks. */
export function GroupedTasks({ by }: { by: "queue" | "batch" }) {
  const job = useJob();
  const counts = useLiving("counts");
  const found = useQuery({
    queryKey: ["running", job],
    queryFn: ({ signal }) => client.get<Scheduler[]>("api/scheduler/running", { query: { job }, signal }),
    refetchInterval: REFRESH_MS,
  });
  if (found.isPending) return <Skeleton rows={10} height_px={32} />;
  if (found.isError) {
    return isAccessError(found.error) ? <TokenPanel /> : <Empty>{errorWords(found.error)}</Empty>;
  }
  const queues = byQueue(found.data);
  const shown = queues.reduce((sum, one) => sum + one.processes.length, 0);
  const rest = (counts?.waiting ?? 0) + (counts?.running ?? 0) - shown;
  const more = thousands(rest);
  if (shown === 0) {
    return (
      <Empty>
        <Trans>Nothing waits or runs.</Trans>
      </Empty>
    );
  }
  return (
    <div className={styles["groups"]}>
      {by === "queue"
        ? queues.map((one) => <QueueGroup key={one.queue ?? ""} one={one} />)
        : found.data.map((one, at) => <FileGroup key={`${one.file} ${one.load ?? at}`} one={one} />)}
      {rest > 0 && shown >= 1000 && (
        <p className={styles["counts"]}>
          <Plural value={rest} one="1 more waits behind these." other={`${more} more wait behind these.`} />
        </p>
      )}
    </div>
  );
}
