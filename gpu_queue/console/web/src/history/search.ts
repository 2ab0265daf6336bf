import { oneOf, someText, whole, type Raw } from "../search";

export const RANGES = ["6h", "1d", "7d", "30d", "90d"] as const;
export type Range = (typeof RANGES)[number];
export const RANGE_S: Record<Range, number> = { "6h": 21_600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000 };
export const USUAL: Range = "7d";

export interface HistorySearch {
  /** 7 days. */
  range?: Range | undefined;
  /** This node alone. */
  node?: string | undefined;
  /** This GPU alone (`<node>/<uuid>`); `gpu` opens its panel, on every page. */
  card?: string | undefined;
  /** The end, in epoch seconds; nothing: now. */
  to?: number | undefined;
}

export function historySearch(raw: Raw): HistorySearch {
  return {
    range: oneOf(raw["range"], RANGES),
    node: someText(raw["node"], 300),
    card: someText(raw["card"], 600),
    to: whole(raw["to"], 1_000_000_000, 99_999_999_999),
  };
}
