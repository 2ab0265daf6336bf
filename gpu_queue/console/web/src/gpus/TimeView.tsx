import type { Range } from "./search";

export function TimeView(_: { nodes: readonly string[]; range: Range }) {
  return null;
}
