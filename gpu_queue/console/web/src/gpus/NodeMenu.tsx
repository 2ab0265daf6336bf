import type { Node } from "../api/types";

/** What can be done with a node. */
export function NodeMenu(_: { nodeKey: string; node: Node }) {
  return null;
}
