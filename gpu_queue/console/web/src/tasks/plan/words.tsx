import { plural, t } from "@lingui/core/macro";
import type { I18n } from "@lingui/core";

import type { Plan, PlanOutcome } from "../../api/types";
import { thousands } from "../../ui/format";

/** What the dialog asks, what its two buttons say. */
export interface Question {
  title: string;
  keep: string;
  go: string;
  isDanger: boolean;
}

function ofTasks(i18n: I18n, plan: Plan): Question | null {
  const { stop, cancel, retry, priority } = plan.counts;
  const stops = thousands(stop);
  const cancels = thousands(cancel);
  const retries = thousands(retry);
  const changes = thousands(priority);
  const keep = plural(stop + cancel, { one: "Keep it", other: "Keep them" });
  switch (plan.action) {
    case "stop":
    case "cancel":
      if (stop && cancel) {
        return { title: t(i18n)`Stop ${stops} and cancel ${cancels} tasks?`, keep, go: t(i18n)`Stop ${stops}, cancel ${cancels}`, isDanger: true };
      }
      if (stop) {
        const title = plural(stop, { one: "Stop 1 task?", other: `Stop ${stops} tasks?` });
        return { title, keep, go: t(i18n)`Stop ${stops}`, isDanger: true };
      }
      return {
        title: plural(cancel, { one: "Cancel 1 task?", other: `Cancel ${cancels} tasks?` }),
        keep,
        go: t(i18n)`Cancel ${cancels}`,
        isDanger: true,
      };
    case "retry":
      return {
        title: plural(retry, { one: "Run 1 task again?", other: `Run ${retries} tasks again?` }),
        keep: t(i18n)`Leave them`,
        go: t(i18n)`Retry ${retries}`,
        isDanger: false,
      };
    case "priority":
      return {
        title: plural(priority, { one: "Change the priority of 1 task?", other: `Change the priority of ${changes} tasks?` }),
        keep: t(i18n)`Leave them`,
        go: t(i18n)`Change ${changes}`,
        isDanger: false,
      };
    default:
      return null;
  }
}

/** The words of the dialog for a plan. */
export function questionOf(i18n: I18n, plan: Plan, job: string): Question {
  const leave = t(i18n)`Leave it`;
  const node = plan.nodes.length === 1 ? (plan.nodes[0]?.title ?? "") : "";
  const nodes = plan.nodes.length;
  switch (plan.action) {
    case "pause":
      return { title: t(i18n)`Pause ${job}?`, keep: leave, go: t(i18n)`Pause`, isDanger: false };
    case "resume":
      return { title: t(i18n)`Resume ${job}?`, keep: leave, go: t(i18n)`Resume`, isDanger: false };
    case "drain":
      return { title: t(i18n)`Drain ${job}?`, keep: leave, go: t(i18n)`Drain`, isDanger: true };
    case "keepalive_on":
      return { title: t(i18n)`Switch the keep-alive on?`, keep: leave, go: t(i18n)`Switch it on`, isDanger: false };
    case "keepalive_off":
      return { title: t(i18n)`Switch the keep-alive off?`, keep: leave, go: t(i18n)`Switch it off`, isDanger: false };
    case "shutdown":
      return node
        ? { title: t(i18n)`Shut down ${node}?`, keep: t(i18n)`Let it run`, go: t(i18n)`Shut down ${node}`, isDanger: true }
        : { title: t(i18n)`Shut down ${nodes} nodes?`, keep: t(i18n)`Let them run`, go: t(i18n)`Shut down ${nodes}`, isDanger: true };
    case "forget":
      return { title: t(i18n)`Forget ${node}?`, keep: leave, go: t(i18n)`Forget ${node}`, isDanger: true };
    case "submit": {
      const count = plan.counts.submit;
      const submitted = thousands(count);
      return {
        title: plural(count, { one: "Submit 1 task?", other: `Submit ${submitted} tasks?` }),
        keep: t(i18n)`Not yet`,
        go: t(i18n)`Submit ${submitted}`,
        isDanger: false,
      };
    }
    default:
      return ofTasks(i18n, plan) ?? { title: plan.action, keep: leave, go: plan.action, isDanger: false };
  }
}

function doneWithTasks(i18n: I18n, plan: Plan, done: number): string {
  const count = thousands(done);
  const { stop, cancel } = plan.counts;
  const title = plan.tasks.length === 1 ? (plan.tasks[0]?.title ?? "") : "";
  const isOne = title !== "" && plan.counts.total === 1;
  const priority = plan.priority ?? 0;
  switch (plan.action) {
    case "stop":
    case "cancel":
      if (isOne) return stop ? t(i18n)`${title} was stopped` : t(i18n)`${title} was cancelled`;
      if (stop && cancel) return plural(done, { one: "1 task was stopped or cancelled", other: `${count} tasks were stopped or cancelled` });
      return stop
        ? plural(done, { one: "1 task was stopped", other: `${count} tasks were stopped` })
        : plural(done, { one: "1 task was cancelled", other: `${count} tasks were cancelled` });
    case "retry":
      return isOne ? t(i18n)`${title} waits again` : plural(done, { one: "1 task waits again", other: `${count} tasks wait again` });
    case "priority":
      return isOne
        ? t(i18n)`${title} has priority ${priority}`
        : plural(done, { one: `1 task has priority ${priority}`, other: `${count} tasks have priority ${priority}` });
    default:
      return t(i18n)`Done`;
  }
}

/** What a toast says of a run. */
export function doneWords(i18n: I18n, plan: Plan, outcome: PlanOutcome): string {
  const done = outcome.counts["done"] ?? 0;
  const running = thousands(plan.counts.running);
  const submitted = thousands(done);
  switch (plan.action) {
    case "pause":
      return plural(plan.counts.running, {
        0: "Paused: nothing new starts",
        one: "Paused: nothing new starts; 1 running task goes on",
        other: `Paused: nothing new starts; ${running} running tasks go on`,
      });
    case "resume":
      return t(i18n)`Resumed: tasks start again`;
    case "drain":
      return plural(plan.counts.running, {
        0: "Draining: nothing new starts, and agents end",
        one: "Draining: nothing new starts; agents end after 1 running task",
        other: `Draining: nothing new starts; agents end after ${running} running tasks`,
      });
    case "keepalive_on":
      return t(i18n)`The keep-alive is on`;
    case "keepalive_off":
      return t(i18n)`The keep-alive is off`;
    case "shutdown":
      return t(i18n)`The agents were told to end`;
    case "forget":
      return t(i18n)`Forgotten`;
    case "submit":
      return plural(done, { one: "1 task was submitted", other: `${submitted} tasks were submitted` });
    default:
      return doneWithTasks(i18n, plan, done);
  }
}

/** What a toast says of an undo. */
export function undoneWords(i18n: I18n, plan: Plan, outcome: PlanOutcome): string {
  const done = outcome.counts["done"] ?? 0;
  const count = thousands(done);
  switch (plan.action) {
    case "stop":
    case "cancel":
      return plural(done, { one: "Undone: 1 task waits again", other: `Undone: ${count} tasks wait again` });
    case "retry":
    case "submit":
      return plural(done, { one: "Undone: 1 task was cancelled", other: `Undone: ${count} tasks were cancelled` });
    case "priority":
      return plural(done, { one: "Undone: 1 task has its old priority", other: `Undone: ${count} tasks have their old priority` });
    default:
      return t(i18n)`Undone`;
  }
}
