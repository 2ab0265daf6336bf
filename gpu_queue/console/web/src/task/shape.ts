import type { TaskRow } from "../api/types";
import type { Shape } from "../ui/StateShape";

/** The shape of a task's state. */
export function shapeOf(row: Pick<TaskRow, "state" | "outcome">): Shape {
  if (row.state === "failed") return row.outcome.startsWith("stopped") || row.outcome.startsWith("cancel") ? "stopped" : "failed";
  return row.state;
}
