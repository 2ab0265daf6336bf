import { oneOf, someText, type Raw } from "../search";

export const VIEWS = ["rows", "tiles", "time"] as const;
export const RANGES = ["1h", "6h", "1d", "7d"] as const;
export const SORTS = ["name", "ends", "idle"] as const;

export type View = (typeof VIEWS)[number];
export type Range = (typeof RANGES)[number];
export type Sort = (typeof SORTS)[number];

export const RANGE_S: Record<Range, number> = { "1h": 3600, "6h": 21_600, "1d": 86_400, "7d": 604_800 };

export interface GpusSearch {
  view?: View | undefined;
  /** Only this node. */
  node?: string | undefined;
  /** How far lanes reach back; 6 h. */
  range?: Range | undefined;
  /** The order of nodes; by name. */
  sort?: Sort | undefined;
  /** The part of the range that the view over time shows, `<from>-<to>` in epoch seconds; nothing: all of it. */
  zoom?: string | undefined;
}

export function gpusSearch(raw: Raw): GpusSearch {
  return {
    view: oneOf(raw["view"], VIEWS),
    node: someText(raw["node"], 300),
    range: oneOf(raw["range"], RANGES),
    sort: oneOf(raw["sort"], SORTS),
    zoom: zoomOf(raw["zoom"]) && String(raw["zoom"]),
  };
}

/** The least range that holds a part of the past which an address names; else the one that is asked for. */
export function rangeFor(asked: Range, zoom: { from_s: number } | undefined, now_s: number): Range {
  const holds = (range: Range): boolean => zoom === undefined || zoom.from_s >= now_s - RANGE_S[range] - 1;
  return RANGES.find((one) => RANGE_S[one] >= RANGE_S[asked] && holds(one)) ?? "7d";
}

/** A span of the view over time; undefined: it is none. */
export function zoomOf(value: unknown): { from_s: number; to_s: number } | undefined {
  const found = typeof value === "string" ? /^(\d{9,11})-(\d{9,11})$/.exec(value) : null;
  const [from_s, to_s] = [Number(found?.[1]), Number(found?.[2])];
  return from_s < to_s ? { from_s, to_s } : undefined;
}
