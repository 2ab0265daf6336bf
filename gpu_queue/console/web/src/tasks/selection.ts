import { useMemo, useState } from "react";

import type { PlanRequest, TaskFilter, TaskRow } from "../api/types";

export const SELECTED_MAX = 10_000;

type State = TaskRow["state"];

/** Tasks that were picked, or all that a filter means. */
export interface Selection {
  count: number;
  /** It is the filter itself. */
  isAll: boolean;
  /** States that are among them, as far as that is known. */
  states: ReadonlySet<State>;
  has: (key: string) => boolean;
  toggle: (row: TaskRow) => void;
  add: (rows: readonly TaskRow[]) => void;
  /** Only this one, for a key that acts on the row under the cursor. */
  selectAll: (filter: TaskFilter, total: number) => void;
  clear: () => void;
  /** The part of a request that says which tasks. */
  wanted: () => Pick<PlanRequest, "tasks" | "filter">;
}

const STATES: Record<string, readonly State[]> = {
  now: ["waiting", "running"],
  waiting: ["waiting"],
  running: ["running"],
  done: ["done"],
  failed: ["failed"],
  all: ["waiting", "running", "done", "failed"],
};

/** The states that a filter can mean: those of its list, as far as its `is:` lets them through. */
export function statesOf(filter: TaskFilter): ReadonlySet<State> {
  const listed = (STATES[filter.state ?? "now"] ?? []).filter(
    (state) =>
      (!filter.ended_within_s || state === "done" || state === "failed") &&
      (!filter.why || state === "waiting" || state === "failed"),
  );
  const wanted = [...(filter.q ?? "").matchAll(/(?:^|\s)is:(\S+)/gi)].map((found) => (found[1] ?? "").toLowerCase());
  if (wanted.length === 0) return new Set(listed);
  // What is no state is how one ended.
  const isMeant = (state: State): boolean =>
    wanted.some((one) => (one in STATES ? one === state : state === "done" || state === "failed"));
  return new Set(listed.filter(isMeant));
}

interface All {
  filter: TaskFilter;
  total: number;
}

/** What is selected, by key: it outlives that rows move, come and go. */
export function useSelection(): Selection {
  const [picked, setPicked] = useState<ReadonlyMap<string, State>>(new Map());
  const [all, setAll] = useState<All | null>(null);
  return useMemo(() => {
    const clear = (): void => {
      setPicked(new Map());
      setAll(null);
    };
    return {
      count: all ? all.total : picked.size,
      isAll: all !== null,
      states: all ? statesOf(all.filter) : new Set(picked.values()),
      has: (key) => all !== null || picked.has(key),
      toggle: (row) => {
        if (all) {
          clear();
          return;
        }
        setPicked((old) => {
          const next = new Map(old);
          if (!next.delete(row.key) && next.size < SELECTED_MAX) next.set(row.key, row.state);
          return next;
        });
      },
      add: (rows) => {
        if (all) return;
        setPicked((old) => {
          const next = new Map(old);
          for (const row of rows) if (next.size < SELECTED_MAX) next.set(row.key, row.state);
          return next;
        });
      },
      selectAll: (filter, total) => {
        setPicked(new Map());
        setAll({ filter, total });
      },
      clear,
      wanted: () => (all ? { filter: all.filter } : { tasks: [...picked.keys()] }),
    };
  }, [picked, all]);
}
