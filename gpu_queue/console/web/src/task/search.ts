import { flag, oneOf, someText, whole, type Raw } from "../search";

export const TABS = ["log", "why", "tries", "gpus", "script", "record"] as const;

export interface TaskSearch {
  /** Which try, from 1; nothing: the last. */
  try?: number | undefined;
  tab?: (typeof TABS)[number] | undefined;
  /** Which log: a try's token, or a binding. */
  source?: string | undefined;
  q?: string | undefined;
  wrap?: true | undefined;
  /** A byte of the log. */
  at?: number | undefined;
}

export function taskSearch(raw: Raw): TaskSearch {
  return {
    try: whole(raw["try"], 1, 1_000_000),
    tab: oneOf(raw["tab"], TABS),
    source: someText(raw["source"], 300),
    q: someText(raw["q"], 500),
    wrap: flag(raw["wrap"]),
    at: whole(raw["at"], 0, Number.MAX_SAFE_INTEGER),
  };
}
