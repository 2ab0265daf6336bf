import { oneOf, someText, whole, type Raw } from "../search";

export const STATES = ["now", "waiting", "running", "done", "failed", "all"] as const;
export const GROUPS = ["queue", "batch", "experiment"] as const;
export const SORTS = ["run", "newest", "oldest", "title", "priority"] as const;

export interface TasksSearch {
  state?: (typeof STATES)[number] | undefined;
  q?: string | undefined;
  queue?: string | undefined;
  node?: string | undefined;
  experiment?: string | undefined;
  /** A job file. */
  batch?: string | undefined;
  /** Only those of no queue, job file or experiment. */
  without?: (typeof GROUPS)[number] | undefined;
  group?: (typeof GROUPS)[number] | undefined;
  sort?: (typeof SORTS)[number] | undefined;
  /** The first row on screen. */
  at?: number | undefined;
}

export function tasksSearch(raw: Raw): TasksSearch {
  return {
    state: oneOf(raw["state"], STATES),
    q: someText(raw["q"], 500),
    queue: someText(raw["queue"], 200),
    node: someText(raw["node"], 300),
    experiment: someText(raw["experiment"], 500),
    batch: someText(raw["batch"], 4096),
    without: oneOf(raw["without"], GROUPS),
    group: oneOf(raw["group"], GROUPS),
    sort: oneOf(raw["sort"], SORTS),
    at: whole(raw["at"], 0, 10_000_000),
  };
}
