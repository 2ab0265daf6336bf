import { spool } from "../../api/base";
import { client } from "../../api/client";
import type { Plan, PlanOutcome, PlanRequest } from "../../api/types";

const FIRST_WAIT_S = 1;
const WAIT_S = 10;

/** Says what a change will do; nothing is changed. */
export function makePlan(job: string, request: PlanRequest, signal?: AbortSignal): Promise<Plan> {
  return client.post<Plan>(spool(job, "plans"), request, { signal });
}

/**
 * Does it, or undoes it, and waits for its end. A second request of the same plan only asks how far it is, so a lost
 * reply does no harm.
 */
export async function finishPlan(
  job: string,
  plan: string,
  what: "run" | "undo",
  onProgress: (outcome: PlanOutcome) => void,
  typed = "",
): Promise<PlanOutcome> {
  let wait_s = FIRST_WAIT_S;
  for (;;) {
    const outcome = await client.post<PlanOutcome>(spool(job, "plans", plan, what), { typed, wait_s });
    if (outcome.state === "finished") return outcome;
    onProgress(outcome);
    wait_s = WAIT_S;
  }
}

/** How many were not done: gone, refused, or nobody knows. */
export function notDone(outcome: PlanOutcome): number {
  return Object.entries(outcome.counts).reduce((sum, [what, count]) => sum + (what === "done" ? 0 : count), 0);
}
