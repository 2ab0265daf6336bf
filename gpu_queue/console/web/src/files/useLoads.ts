import { plural } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";

import { listed, said } from "../api/said";
import type { Plan } from "../api/types";
import { useJob } from "../shell/job";
import { ask } from "../tasks/plan/asked";
import { useTrouble, useUndo } from "../tasks/plan/PlanHost";
import { finishPlan } from "../tasks/plan/running";
import { thousands } from "../ui/format";
import { toast } from "../ui/Toast";
import type { Which } from "./names";
import { files, type Jobfile } from "./requests";

const UNDO_S = 15;

/** Loads a file as a plan says, with a way back; stops what was loaded from it. */
export function useLoads(which: Which, onChanged: () => void) {
  const { t } = useLingui();
  const job = useJob();
  const trouble = useTrouble();
  const undo = useUndo();

  const load = async (plan: Plan): Promise<void> => {
    const outcome = await finishPlan(job, plan.id, "run", () => undefined);
    const done = outcome.submitted?.length ?? 0;
    const count = Math.max(done, plan.counts.submit ?? 0);
    const number = thousands(count);
    const agent = outcome.agent?.why ? said(outcome.agent.why.text) : outcome.agent?.text;
    const why = outcome.problem ? said(outcome.problem.text) : agent || (outcome.notes ?? [])[0] || "";
    const text = plural(count, { 0: "Loaded: nothing new was queued", one: "1 task was loaded", other: `${number} tasks were loaded` });
    const isBad = outcome.problem !== null || outcome.agent?.what === "refused";
    toast({
      text: outcome.problem ? why : listed([text, ...(why ? [why] : [])]),
      for_s: UNDO_S,
      ...(isBad ? { tone: "trouble" as const } : {}),
      ...(outcome.undo_until_s != null ? { action: { label: t`Undo`, run: () => undo(plan, onChanged) } } : {}),
    });
  };

  return {
    run: (plan: Plan): void => void load(plan).catch(trouble).finally(onChanged),
    /** Whether something of it waits or runs. */
    canStop: (file: Jobfile): boolean => (file.loaded?.waiting ?? 0) + (file.loaded?.running ?? 0) > 0,
    stop: (): void => {
      files.stop(job, which).then((plan) => ask({ action: plan.action }, onChanged, plan), trouble);
    },
  };
}
