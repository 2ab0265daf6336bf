import { oneOf, type Raw } from "../search";

export const TABS = ["form", "text"] as const;

export interface RuleSearch {
  tab?: (typeof TABS)[number] | undefined;
}

export function ruleSearch(raw: Raw): RuleSearch {
  return { tab: oneOf(raw["tab"], TABS) };
}
