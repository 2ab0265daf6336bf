import { oneOf, someText, whole, type Raw } from "../search";

export const STATES = ["now", "waiting", "running", "done", "failed", "all"] as const;
export const GROUPS = ["queue", "batch", "experiment"] as const;
export const SORTS = ["run", "newest", "oldest", "title", "priority"] as const;

/** How long ago tasks ended, at most. */
export const WITHIN_S = { "1h": 3600, "8h": 8 * 3600, "1d": 86_400, "7d": 7 * 86_400 } as const;
export const WITHIN = Object.keys(WITHIN_S) as (keyof typeof WITHIN_S)[];

/** Lists that hold tasks that have ended. */
export const hasEnded = (state: (typeof STATES)[number] | undefined): boolean => state === "done" || state === "failed" || state === "all";

export interface TasksSearch {
  state?: (typeof STATES)[number] | undefined;
  q?: string | undefined;
  queue?: string | undefined;
  node?: string | undefined;
  user?: string | undefined;
  /** The code of why it waits, or how it failed. */
  why?: string | undefined;
  ended?: keyof typeof WITHIN_S | undefined;
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
    user: someText(raw["user"], 200),
    why: someText(raw["why"], 100),
    ended: oneOf(raw["ended"], WITHIN),
    experiment: someText(raw["experiment"], 500),
    batch: someText(raw["batch"], 4096),
    without: oneOf(raw["without"], GROUPS),
    group: oneOf(raw["group"], GROUPS),
    sort: oneOf(raw["sort"], SORTS),
    at: whole(raw["at"], 0, 10_000_000),
  };
}
