import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { client, isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import type { TaskFilter, TaskRow, Wire } from "../api/types";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { Chip } from "../ui/Chip";
import { Empty } from "../ui/Empty";
import { thousands } from "../ui/format";
import { Skeleton } from "../ui/Skeleton";
import { StateShape } from "../ui/StateShape";
import styles from "./GroupedTasks.module.css";
import { shapeOf, useStateWord, WhereCell } from "./RowCells";
import type { TasksSearch } from "./search";

type Group = Wire<"TaskGroup">;
type Page = Wire<"GroupPage">;
export type By = NonNullable<TasksSearch["group"]>;

const REFRESH_MS = 3000;
const SHOWN_MAX = 50;
/** So many groups are open at first. */
const OPEN_MAX = 5;

/** The filter that means the tasks of a group among those of another filter. */
function within(filter: TaskFilter, by: By, name: string): TaskFilter {
  return name === "" ? { ...filter, without: by } : { ...filter, [by]: name };
}

/** A job file's name among groups is `mode:index:path`. */
function fileOf(name: string): string {
  return name.split(":").slice(2).join(":");
}

function Line({ row }: { row: TaskRow }) {
  const word = useStateWord();
  return (
    <li className={styles["line"]}>
      <StateShape shape={shapeOf(row)} label={word(row)} />
      <Link to="/ui/state/$id" params={{ id: row.key }} className={styles["title"]}>
        {row.title}
      </Link>
      <span className={styles["where"]}>
        <WhereCell row={row} />
      </span>
    </li>
  );
}

function Tasks({ filter, label, total }: { filter: TaskFilter; label: string; total: number }) {
  const job = useJob();
  const found = useQuery({
    queryKey: ["group", job, filter],
    queryFn: ({ signal }) =>
      client.get<Wire<"TaskPage">>(`api/v1/spools/${encodeURIComponent(job)}/tasks`, {
        query: { ...filter, limit: SHOWN_MAX },
        signal,
      }),
    refetchInterval: REFRESH_MS,
  });
  if (found.isPending) return <Skeleton rows={Math.min(total, 3)} height_px={30} />;
  if (found.isError) return <Empty>{errorWords(found.error)}</Empty>;
  const rest = total - found.data.items.length;
  const more = thousands(rest);
  const { state, q, queue, node, experiment, batch, without } = filter;
  const search = { state, q, queue, node, experiment, batch, without };
  const given = Object.fromEntries(Object.entries(search).filter(([, value]) => value !== ""));
  return (
    <ul aria-label={label}>
      {found.data.items.map((row) => (
        <Line key={row.key} row={row} />
      ))}
      {rest > 0 && (
        <li className={styles["more"]}>
          <Link to="/ui/state" search={given}>
            <Plural value={rest} one="and 1 more …" other={`and ${more} more …`} />
          </Link>
        </li>
      )}
    </ul>
  );
}

function Counts({ group }: { group: Group }) {
  const { counts } = group;
  const waiting = thousands(counts.waiting ?? 0);
  const running = thousands(counts.running ?? 0);
  const done = thousands(counts.done ?? 0);
  const failed = thousands(counts.failed ?? 0);
  return (
    <span className={styles["counts"]}>
      <Trans>
        {waiting} waiting · {running} running
      </Trans>
      {(counts.done ?? 0) + (counts.failed ?? 0) > 0 && (
        <>
          {" · "}
          <Trans>
            {done} done · {failed} failed
          </Trans>
        </>
      )}
    </span>
  );
}

function Title({ by, group }: { by: By; group: Group }) {
  const { title, mode } = group;
  const index = (group.config_index ?? 0) + 1;
  if (group.name === "") {
    return by === "queue" ? <Trans>no queue</Trans> : by === "batch" ? <Trans>of no job file</Trans> : <Trans>of no experiment</Trans>;
  }
  return by === "batch" && mode ? (
    <Trans>
      {title} · {mode} · configuration {index}
    </Trans>
  ) : (
    title
  );
}

function GroupPanel({ by, group, filter, startsOpen }: { by: By; group: Group; filter: TaskFilter; startsOpen: boolean }) {
  const { t } = useLingui();
  const [isOpen, setOpen] = useState(startsOpen);
  const { counts } = group;
  const total = (counts.waiting ?? 0) + (counts.running ?? 0) + (counts.done ?? 0) + (counts.failed ?? 0);
  return (
    <details className={styles["group"]} open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <strong className={styles["name"]}>
          <Title by={by} group={group} />
        </strong>
        {by === "queue" && group.name !== "" && (
          <Chip tone={group.is_busy ? "notice" : "plain"}>{group.is_busy ? t`BUSY` : t`IDLE`}</Chip>
        )}
        <Counts group={group} />
      </summary>
      {isOpen && by !== "queue" && group.name !== "" && (
        <p className={styles["more"]}>
          <Link
            to="/ui/batch"
            search={by === "batch" ? { file: fileOf(group.name) } : { group: group.name }}
            className={styles["batch"]}
          >
            <Trans>Its table, and when it will have ended</Trans>
          </Link>
        </p>
      )}
      {isOpen && <Tasks filter={within(filter, by, group.name)} label={group.title || t`of none`} total={total} />}
    </details>
  );
}

/** Tasks as a tree: queue, job file or experiment → tasks.  What a filter means is grouped on the server. */
export function GroupedTasks({ by, filter }: { by: By; filter: TaskFilter }) {
  const job = useJob();
  const found = useQuery({
    queryKey: ["groups", job, by, filter],
    queryFn: ({ signal }) =>
      client.get<Page>(`api/v1/spools/${encodeURIComponent(job)}/groups`, { query: { ...filter, by }, signal }),
    refetchInterval: REFRESH_MS,
    placeholderData: (before) => before,
  });
  if (found.isPending) return <Skeleton rows={10} height_px={32} />;
  if (found.isError) {
    return isAccessError(found.error) ? <TokenPanel /> : <Empty>{errorWords(found.error)}</Empty>;
  }
  const { groups, total, unread = 0 } = found.data;
  const unreadShown = thousands(unread);
  const rest = total - groups.length;
  const more = thousands(rest);
  if (groups.length === 0) {
    return (
      <Empty>
        <Trans>No task matches.</Trans>
      </Empty>
    );
  }
  return (
    <div className={styles["groups"]}>
      {groups.map((group, at) => (
        <GroupPanel key={`${by} ${group.name}`} by={by} group={group} filter={filter} startsOpen={at < OPEN_MAX} />
      ))}
      {rest > 0 && (
        <p className={styles["counts"]}>
          <Plural value={rest} one="and 1 more group" other={`and ${more} more groups`} />
        </p>
      )}
      {unread > 0 && (
        <p className={styles["counts"]} role="status">
          <Plural value={unread} one="1 task was not read yet, and counts nowhere." other={`${unreadShown} tasks were not read yet, and count nowhere.`} />
        </p>
      )}
    </div>
  );
}
