import { oneOf, type Raw } from "../search";

export const PARTS = ["list", "edit", "run"] as const;

/** Which part is shown where there is room for one: files, the text, what a load would do. */
export type Part = (typeof PARTS)[number];

export interface FilesSearch {
  tab?: Part | undefined;
}

export function filesSearch(raw: Raw): FilesSearch {
  return { tab: oneOf(raw["tab"], PARTS) };
}
