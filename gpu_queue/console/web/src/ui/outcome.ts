import { t } from "@lingui/core/macro";

/** How a try ended, as its record has it (`failed(1)`), in words; what this page does not know stays as it is. */
export function outcomeWords(outcome: string): string {
  const status = /^failed\((-?\d+)\)$/.exec(outcome)?.[1];
  if (status !== undefined) return t({ message: `failed(${status})`, context: "of a try" });
  switch (outcome) {
    case "done":
      return t({ message: "done", context: "of a try" });
    case "failed":
      return t({ message: "failed", context: "of a try" });
    case "stopped":
      return t({ message: "stopped", context: "of a try" });
    case "cancelled":
    case "canceled":
      return t({ message: "cancelled", context: "of a try" });
    case "timeout":
      return t({ message: "timeout", context: "of a try" });
    case "lost":
      return t({ message: "lost", context: "of a try" });
    case "not started":
      return t({ message: "not started", context: "of a try" });
    case "requeue":
    case "requeued":
      return t({ message: "requeued", context: "of a try" });
    case "again":
      return t({ message: "runs again", context: "of a try" });
    case "saved":
      return t({ message: "saved", context: "of a try" });
    default:
      return outcome;
  }
}
