import { oneOf, someText, type Raw } from "../search";

export const PHASES = ["done", "failed", "cancelled", "running", "waiting"] as const;
export type Phase = (typeof PHASES)[number];

/** Columns that can be sorted by; values of the matrix are `p0`, `p1` … */
export const COLUMNS = ["name", "state", "tries", "waited", "ran", "gpus", "gpu_h", "peak", "util", "node"] as const;

export interface BatchesSearch {
  /** The batch of this command or experiment file, by its path. */
  file?: string | undefined;
  /** The batch of this group. */
  group?: string | undefined;
}

export function batchesSearch(raw: Raw): BatchesSearch {
  return { file: someText(raw["file"], 4096), group: someText(raw["group"], 500) };
}

export interface BatchSearch {
  /** Only runs that are so. */
  state?: Phase | undefined;
  /** A column; `-` before it: the largest first. */
  sort?: string | undefined;
  q?: string | undefined;
}

/** A column by its name, with its direction; undefined: there is none such. */
export function sortOf(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const column = value.replace(/^-/, "");
  return /^p\d{1,2}$/.test(column) || COLUMNS.some((one) => one === column) ? value : undefined;
}

export function batchSearch(raw: Raw): BatchSearch {
  return { state: oneOf(raw["state"], PHASES), sort: sortOf(raw["sort"]), q: someText(raw["q"], 200) };
}
