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
}

export function gpusSearch(raw: Raw): GpusSearch {
  return {
    view: oneOf(raw["view"], VIEWS),
    node: someText(raw["node"], 300),
    range: oneOf(raw["range"], RANGES),
    sort: oneOf(raw["sort"], SORTS),
  };
}
