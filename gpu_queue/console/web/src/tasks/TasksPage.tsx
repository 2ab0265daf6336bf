import { Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useRef, useState } from "react";

import { isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import type { Counts, PlanRequest, TaskFilter, TaskRow } from "../api/types";
import { useFresh, useIsLoaded, useLiving, useMap } from "../live/hooks";
import { useConsoleInfo } from "../shell/console";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import buttonStyles from "../ui/Button.module.css";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Empty } from "../ui/Empty";
import { thousands } from "../ui/format";
import { useIsNarrow, useTitle } from "../ui/hooks";
import { useShortcut } from "../ui/keys";
import { Skeleton } from "../ui/Skeleton";
import { Tabs } from "../ui/Tabs";
import { toast } from "../ui/Toast";
import { BulkBar } from "./BulkBar";
import { FilterBar, useSetSearch } from "./FilterBar";
import { GroupedTasks } from "./GroupedTasks";
import { usePlan } from "./plan/usePlan";
import { SELECTED_MAX, useSelection, type Selection } from "./selection";
import { TaskGrid, type GridCursor } from "./TaskGrid";
import { hasEnded, WITHIN_S } from "./search";
import styles from "./TasksPage.module.css";
import { useTaskWindows } from "./useTasks";
import type { TaskWindows } from "./windows";

const route = getRouteApi("/ui/state");

const NO_FILTER = {
  q: undefined,
  queue: undefined,
  node: undefined,
  user: undefined,
  why: undefined,
  ended: undefined,
  experiment: undefined,
  batch: undefined,
  without: undefined,
} as const;

/** The sum of what is known; null: nothing is. */
function sum(...counts: (number | null | undefined)[]): number | null {
  const known = counts.filter((one) => typeof one === "number");
  return known.length > 0 ? known.reduce((a, b) => a + b, 0) : null;
}

function StateTabs({ filter, counts }: { filter: TaskFilter; counts: Counts | undefined }) {
  const { t } = useLingui();
  const set = useSetSearch();
  const tabs = [
    { id: "now", label: t`Now`, count: thousands(sum(counts?.waiting, counts?.running)) },
    { id: "waiting", label: t`Waiting`, count: thousands(counts?.waiting) },
    { id: "running", label: t`Running`, count: thousands(counts?.running) },
    { id: "done", label: t`Done`, count: thousands(counts?.done) },
    { id: "failed", label: t`Failed`, count: thousands(counts?.failed) },
  ] as const;
  const isAll = filter.state === "all";
  const all = { id: "all", label: t`All`, count: thousands(sum(counts?.waiting, counts?.running, counts?.done, counts?.failed)) } as const;
  return (
    <Tabs
      label={t`States`}
      tabs={isAll ? [...tabs, all] : tabs}
      current={filter.state ?? "now"}
      onChange={(id) => set({ state: id === "now" ? undefined : id, why: undefined, ...(hasEnded(id) ? {} : { ended: undefined }) })}
    />
  );
}

function NothingHere({ filter, isFiltered }: { filter: TaskFilter; isFiltered: boolean }) {
  const set = useSetSearch();
  if (isFiltered) {
    return (
      <Empty>
        <Trans>No task matches.</Trans>{" "}
        <Button size="small" onClick={() => set(NO_FILTER)}>
          <Trans>Clear the filter</Trans>
        </Button>
      </Empty>
    );
  }
  switch (filter.state) {
    case "waiting":
      return <Empty><Trans>Nothing waits.</Trans></Empty>;
    case "running":
      return <Empty><Trans>Nothing runs.</Trans></Empty>;
    case "done":
      return <Empty><Trans>No task has ended well yet.</Trans></Empty>;
    case "failed":
      return <Empty><Trans>No task has failed.</Trans></Empty>;
    default:
      return (
        <Empty command="gpu_submit train.sh">
          <Trans>Nothing waits or runs. Submit a script here, or from a shell:</Trans>
        </Empty>
      );
  }
}

/** Tasks wait and nobody is there to run them. */
function NoAgent() {
  const job = useJob();
  const nodes = useMap("nodes");
  const waiting = useLiving("counts")?.waiting ?? 0;
  const isServed = Object.values(nodes ?? {}).some((one) => one.presence === "alive" || one.presence === "unknown");
  if (nodes === undefined || isServed || waiting === 0) return null;
  return (
    <div className={styles["noAgent"]}>
      <Empty command={`./submit.sh ${job}`}>
        <Trans>No agent serves {job}. On a GPU node:</Trans>
      </Empty>
    </div>
  );
}

interface ListProps {
  windows: TaskWindows;
  selection: Selection;
  isReadOnly: boolean;
  startAt: number;
}

function useListKeys(props: ListProps & { cursor: GridCursor; rowAt: () => TaskRow | undefined; move: (to: number) => void; toggle: (index: number, isRange: boolean) => void; open: (index: number) => void }): void {
  const { t } = useLingui();
  const plan = usePlan();
  const { selection, isReadOnly, cursor, rowAt, move, toggle, open } = props;
  const isOn = !isReadOnly;
  /** What is selected, else the row under the cursor. */
  const act = (action: PlanRequest["action"], fits: (row: TaskRow) => boolean): void => {
    if (selection.count > 0) {
      plan({ action, ...selection.wanted() }, action === "explain" ? undefined : selection.clear);
      return;
    }
    const row = rowAt();
    if (row && fits(row)) plan({ action, tasks: [row.key] });
  };
  useShortcut("j", t`Down`, () => move(cursor.index + 1));
  useShortcut("k", t`Up`, () => move(cursor.index - 1));
  useShortcut("Enter", t`Open the task`, (event) => {
    if (event.target instanceof HTMLElement && event.target.closest("a, button, summary")) event.target.closest<HTMLElement>("a, button, summary")?.click();
    else if (cursor.index >= 0) open(cursor.index);
  });
  useShortcut("x", t`Select`, () => toggle(cursor.index, false), { isOn });
  useShortcut("X", t`Select to here`, () => toggle(cursor.index, true), { isOn });
  useShortcut("Escape", t`Clear the selection`, selection.clear, { isOn: selection.count > 0 });
  useShortcut("s", t`Stop or cancel`, () => act("stop", (row) => row.state === "waiting" || row.state === "running"), { isOn });
  useShortcut("r", t`Retry`, () => act("retry", (row) => row.state === "failed"), { isOn });
  useShortcut("p", t`Priority`, () => act("priority", (row) => row.state === "waiting"), { isOn });
  useShortcut("e", t`Ask the agents why it waits`, () => act("explain", (row) => row.state === "waiting"), { isOn });
}

function List(props: ListProps) {
  const { windows, selection, isReadOnly, startAt } = props;
  const { t } = useLingui();
  const navigate = useNavigate();
  const isNarrow = useIsNarrow();
  const [cursor, setCursor] = useState<GridCursor>({ index: -1, key: null });
  const anchor = useRef<number | null>(null);
  const { total } = windows.summary;

  // Rows move as the queue does: the cursor stays on its task, where that is still near.
  const at = cursor.key === null ? cursor.index : windows.indexOf(cursor.key, cursor.index);
  const index = Math.min(at < 0 ? cursor.index : at, (total ?? 1) - 1);
  const now = { index, key: cursor.key };

  const move = useCallback(
    (to: number): void => {
      const bound = Math.max(0, Math.min((windows.summary.total ?? 1) - 1, to));
      setCursor({ index: bound, key: windows.row(bound)?.key ?? null });
    },
    [windows],
  );
  const latest = useRef(selection);
  latest.current = selection;
  const toggle = useCallback(
    (to: number, isRange: boolean): void => {
      const row = windows.row(to);
      if (isRange && anchor.current !== null && anchor.current !== to) {
        const from = Math.min(anchor.current, to);
        const until = Math.max(anchor.current, to);
        if (until - from >= SELECTED_MAX) {
          toast({ text: t`More than 10,000 tasks: select all that match, and narrow the filter.`, tone: "trouble" });
          return;
        }
        windows.between(from, until).then(
          (rows) => latest.current.add(rows),
          (error: unknown) => toast({ text: errorWords(error), tone: "trouble" }),
        );
      } else if (row) latest.current.toggle(row);
      anchor.current = to;
    },
    [windows, t],
  );
  const open = (to: number): void => {
    const row = windows.row(to);
    if (row?.has_id) void navigate({ to: "/ui/state/$id", params: { id: row.key } });
  };
  const setAt = useCallback(
    (first: number): void =>
      void navigate({
        to: ".",
        search: (old) => (old.at === (first || undefined) ? old : { ...old, at: first || undefined }),
        replace: true,
        resetScroll: false,
      }),
    [navigate],
  );
  useListKeys({ ...props, cursor: now, rowAt: () => windows.row(index), move, toggle, open });
  return (
    <TaskGrid
      windows={windows}
      selection={selection}
      cursor={now}
      onSelectAll={() => (selection.count > 0 ? selection.clear() : selection.selectAll(windows.wanted.filter, total ?? 0))}
      onCursor={move}
      onToggle={toggle}
      onOpen={open}
      canSelect={!isReadOnly}
      isNarrow={isNarrow}
      startAt={startAt}
      onAt={setAt}
    />
  );
}

function Body({ filter, isFiltered, windows, selection, isReadOnly }: { filter: TaskFilter; isFiltered: boolean; windows: TaskWindows; selection: Selection; isReadOnly: boolean }) {
  const { at = 0 } = route.useSearch();
  const startAt = useRef(at);
  const { total, error } = windows.summary;
  useEffect(() => {
    if (windows.summary.total === null) windows.want(startAt.current, startAt.current + 30);
  }, [windows]);
  if (total === null) {
    if (isAccessError(error)) return <TokenPanel />;
    if (error !== null) {
      return (
        <Empty>
          {errorWords(error)}{" "}
          <Button size="small" onClick={() => windows.moved()}>
            <Trans>Try again</Trans>
          </Button>
        </Empty>
      );
    }
    return <Skeleton rows={14} height_px={32} />;
  }
  if (total === 0) return <NothingHere filter={filter} isFiltered={isFiltered} />;
  return (
    <>
      {error !== null && (
        <p role="alert" className={styles["problem"]}>
          {errorWords(error)}
        </p>
      )}
      <List windows={windows} selection={selection} isReadOnly={isReadOnly} startAt={startAt.current} />
    </>
  );
}

/** All tasks of the queue: what waits, runs, and has ended. */
export function TasksPage() {
  const { t } = useLingui();
  useTitle(t`Tasks`);
  const search = route.useSearch();
  const counts = useLiving("counts");
  const isLoaded = useIsLoaded();
  const { way, problem } = useFresh();
  const info = useConsoleInfo();
  const isReadOnly = info.data?.is_read_only ?? false;
  const { state = "now", q = "", queue = "", node = "", user = "", why = "", ended, experiment = "", batch = "", without = "", sort = "run", group } = search;
  const filter: TaskFilter = {
    state,
    q,
    queue,
    node,
    user,
    why,
    ended_within_s: ended === undefined ? 0 : WITHIN_S[ended],
    experiment,
    batch,
    without,
  };
  const windows = useTaskWindows(filter, sort);
  const selection = useSelection();
  const isFiltered = [q, queue, node, user, why, experiment, batch, without].some((one) => one !== "") || ended !== undefined;
  const total = windows.summary.total ?? 0;
  // What is selected in one filter is not what somebody means in another.
  const name = JSON.stringify(filter);
  const before = useRef(name);
  useEffect(() => {
    if (before.current !== name && selection.isAll) selection.clear();
    before.current = name;
  }, [name, selection]);

  if (!isLoaded && way === "missing") return <Empty>{problem || <Trans>There is no such queue.</Trans>}</Empty>;
  return (
    <>
      <header className={styles["head"]}>
        <h1>
          <Trans>Tasks</Trans>
        </h1>
        {!isReadOnly && (
          <Link
            to="."
            search={(old) => ({ ...old, submit: true as const })}
            className={cx(buttonStyles["button"], buttonStyles["primary"], styles["submit"])}
          >
            <Trans>Submit a script</Trans>
          </Link>
        )}
      </header>
      <StateTabs filter={filter} counts={counts} />
      <NoAgent />
      <FilterBar summary={group === undefined ? windows.summary : { ...windows.summary, total: null }} />
      {group === undefined ? (
        <>
          <Body filter={filter} isFiltered={isFiltered} windows={windows} selection={selection} isReadOnly={isReadOnly} />
          <BulkBar selection={selection} filter={filter} total={total} isReadOnly={isReadOnly} />
        </>
      ) : (
        <GroupedTasks by={group} filter={filter} />
      )}
    </>
  );
}
