import { t } from "@lingui/core/macro";

/** How a try ended, as its record has it (`failed(1)`), in words; what this page does not know stays as it is. */
export function outcomeWords(outcome: string): string {
  const status = /^failed\((-?\d+)\)$/.exec(outcome)?.[1];
  if (status !== undefined) return t`failed(${status})`;
  switch (outcome) {
    case "done":
      return t`done`;
    case "failed":
      return t`failed`;
    case "stopped":
      return t`stopped`;
    case "cancelled":
    case "canceled":
      return t`cancelled`;
    case "timeout":
      return t`timeout`;
    case "lost":
      return t`lost`;
    case "not started":
      return t`not started`;
    case "requeue":
    case "requeued":
      return t`requeued`;
    default:
      return outcome;
  }
}
