import { useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { isAccessError } from "../../api/client";
import { errorWords, listed } from "../../api/said";
import type { Plan, PlanOutcome } from "../../api/types";
import { useJob } from "../../shell/job";
import { toast } from "../../ui/Toast";
import { AnswersDialog } from "./AnswersDialog";
import { ask, forget, useAsked, type Asked } from "./asked";
import { OutcomeDialog } from "./OutcomeDialog";
import { PlanDialog } from "./PlanDialog";
import { PriorityDialog } from "./PriorityDialog";
import { ProgressDialog } from "./ProgressDialog";
import { finishPlan, makePlan, notDone } from "./running";
import { whyNot } from "./whyNot";
import { doneWords, undoneWords } from "./words";

const UNDO_S = 15;
/** Of changes of which the last alone counts. */
const TOPICS: Partial<Record<Plan["action"], string>> = {
  pause: "starting",
  resume: "starting",
  drain: "starting",
  keepalive_on: "keepalive",
  keepalive_off: "keepalive",
};

type Stage =
  | { is: "asking" }
  | { is: "priority" }
  | { is: "question"; plan: Plan }
  | { is: "running"; plan: Plan; progress: "not yet" | "shown" | "hidden" }
  | { is: "answers"; plan: Plan; outcome: PlanOutcome | null }
  | { is: "over"; plan: Plan; outcome: PlanOutcome };

/** Says what was wrong: with a way to the token, where that is what lacks. */
export function useTrouble(): (error: unknown) => void {
  const { t } = useLingui();
  const navigate = useNavigate();
  return (error) => {
    const text = isAccessError(error) ? t`This needs the token` : errorWords(error);
    const action = isAccessError(error) ? { action: { label: t({ message: "Show it", context: "the token, on another page" }), run: () => void navigate({ to: "/ui/setting" }) } } : {};
    toast({ text, tone: "trouble", ...action });
  };
}

/** Undoes a plan, and says what became of that. */
export function useUndo(): (plan: Plan, onFinished?: () => void) => void {
  const { t, i18n } = useLingui();
  const job = useJob();
  const trouble = useTrouble();
  return (plan, onFinished) => {
    let takeAway = (): void => undefined;
    let isTold = false;
    const tell = (): void => {
      if (!isTold) takeAway = toast({ text: t`It is being undone …`, for_s: 600 });
      isTold = true;
    };
    finishPlan(job, plan.id, "undo", tell)
      .then((outcome) => {
        const text = undoneWords(i18n, plan, outcome);
        const why = whyNot(outcome);
        toast(why ? { text: listed([text, why]), tone: "trouble" } : { text });
      }, trouble)
      .finally(() => {
        takeAway();
        onFinished?.();
      });
  };
}

function OnePlan({ asked }: { asked: Asked }) {
  const { t, i18n } = useLingui();
  const job = useJob();
  const trouble = useTrouble();
  const undo = useUndo();
  const [stage, setStage] = useState<Stage>(
    asked.request.action === "priority" && asked.request.priority == null ? { is: "priority" } : { is: "asking" },
  );
  const hasBegun = useRef(false);
  const end = (): void => forget(asked.id);

  const finished = (plan: Plan, outcome: PlanOutcome): void => {
    asked.onFinished?.(outcome);
    if (plan.action === "explain") {
      setStage({ is: "answers", plan, outcome });
      return;
    }
    if (notDone(outcome) > 0 || outcome.problem) {
      setStage({ is: "over", plan, outcome });
      return;
    }
    const canUndo = outcome.undo_until_s != null;
    const again = plan.action === "stop" && plan.counts.stop > 0;
    const keys = plan.tasks.filter((task) => task.does !== "nothing").map((task) => task.key);
    const text = doneWords(i18n, plan, outcome);
    const topic = TOPICS[plan.action];
    const of = topic === undefined ? {} : { topic };
    if (canUndo) toast({ text, for_s: UNDO_S, ...of, action: { label: again ? t`Undo what was cancelled` : t`Undo`, run: () => undo(plan) } });
    else if (again && keys.length === plan.counts.stop) {
      toast({ text, for_s: UNDO_S, action: { label: t`Run again`, run: () => ask({ action: "retry", tasks: keys }) } });
    } else toast({ text });
    end();
  };

  const run = (plan: Plan, typed = ""): void => {
    setStage(plan.action === "explain" ? { is: "answers", plan, outcome: null } : { is: "running", plan, progress: "not yet" });
    const showProgress = (): void =>
      setStage((old) => (old.is === "running" && old.progress === "not yet" ? { ...old, progress: "shown" } : old));
    finishPlan(job, plan.id, "run", showProgress, typed).then(
      (outcome) => finished(plan, outcome),
      (error: unknown) => {
        trouble(error);
        end();
      },
    );
  };

  const begin = (priority?: number): void => {
    setStage({ is: "asking" });
    const request = priority === undefined ? asked.request : { ...asked.request, priority };
    (asked.plan ? Promise.resolve(asked.plan) : makePlan(job, request)).then(
      (plan) => {
        if (!plan.can_run || plan.must_confirm || plan.must_type) setStage({ is: "question", plan });
        else run(plan);
      },
      (error: unknown) => {
        trouble(error);
        end();
      },
    );
  };

  useEffect(() => {
    // Strict mode mounts twice: one wish is one plan.
    if (hasBegun.current || stage.is !== "asking") return;
    hasBegun.current = true;
    begin();
  });

  switch (stage.is) {
    case "asking":
      return null;
    case "priority":
      return (
        <PriorityDialog
          onClose={end}
          onChosen={(priority) => {
            hasBegun.current = true;
            begin(priority);
          }}
        />
      );
    case "question":
      return <PlanDialog plan={stage.plan} wait={asked.request.wait} onKeep={end} onGo={(typed) => run(stage.plan, typed)} />;
    case "running":
      if (stage.progress !== "shown") return null;
      return <ProgressDialog plan={stage.plan} onClose={() => setStage({ ...stage, progress: "hidden" })} />;
    case "answers":
      return <AnswersDialog plan={stage.plan} outcome={stage.outcome} onClose={end} />;
    case "over":
      return (
        <OutcomeDialog
          said={(stage.outcome.counts["done"] ?? 0) > 0 ? doneWords(i18n, stage.plan, stage.outcome) : ""}
          outcome={stage.outcome}
          onClose={end}
          onForce={
            asked.request.action === "forget" && asked.request.force !== true
              ? () => {
                  ask({ ...asked.request, force: true }, asked.onFinished);
                  end();
                }
              : null
          }
          onUndo={
            stage.outcome.undo_until_s != null && (stage.outcome.counts["done"] ?? 0) > 0
              ? () => {
                  undo(stage.plan);
                  end();
                }
              : null
          }
        />
      );
  }
}

/** Shows every change that is under way: dialogs, progress, what was not done. */
export function PlanHost() {
  const all = useAsked();
  return (
    <>
      {all.map((asked) => (
        <OnePlan key={asked.id} asked={asked} />
      ))}
    </>
  );
}
