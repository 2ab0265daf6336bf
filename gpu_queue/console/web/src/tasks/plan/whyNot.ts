import { t } from "@lingui/core/macro";

import { said } from "../../api/said";
import type { PlanOutcome } from "../../api/types";

/** Why a plan, or the first task of it that was not done, has failed; empty: all was done. */
export function whyNot(outcome: PlanOutcome): string {
  if (outcome.problem) return said(outcome.problem.text);
  const missed = outcome.outcomes.find((one) => one.what !== "done");
  if (!missed) return "";
  const { title } = missed;
  if (!missed.why) return t`${title} was not done`;
  const why = said(missed.why.text);
  return t`${title}: ${why}`;
}
