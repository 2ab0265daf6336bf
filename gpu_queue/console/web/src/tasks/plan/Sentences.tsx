import { Plural, Trans, useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";

import { listed, said, sentence } from "../../api/said";
import type { Plan } from "../../api/types";
import { useStore } from "../../live/hooks";
import { thousands } from "../../ui/format";

/** Names of the nodes on which something is stopped; null: the plan does not show all of them. */
function useStopNodes(plan: Plan): string | null {
  const store = useStore();
  const { t } = useLingui();
  const stopped = plan.tasks.filter((task) => task.does === "stop");
  if (stopped.length < plan.counts.stop) return null;
  const names = [...new Set(stopped.map((task) => store.living?.nodes[task.node]?.title ?? task.node))].sort();
  if (names.length > 4) return null;
  const last = names.pop() ?? "";
  const before = names.join(", ");
  return before ? t`${before} and ${last}` : last;
}

function Stops({ plan }: { plan: Plan }) {
  const nodes = useStopNodes(plan);
  const { stop } = plan.counts;
  const count = thousands(stop);
  const grace = plan.grace_s == null ? "" : `${plan.grace_s}`;
  const term =
    nodes === null ? (
      <Plural value={stop} one="1 running task gets TERM on its node" other={`${count} running tasks get TERM on their nodes`} />
    ) : (
      <Plural value={stop} one={`1 running task gets TERM on ${nodes}`} other={`${count} running tasks get TERM on ${nodes}`} />
    );
  return (
    <p>
      {grace ? <Trans>{term}, KILL after {grace} s.</Trans> : <Trans>{term}, then KILL.</Trans>}{" "}
      <Plural
        value={stop}
        one="It goes to failed and is not retried. This cannot be undone; it can be run again from the start."
        other="They go to failed and are not retried. This cannot be undone; each can be run again from the start."
      />
    </p>
  );
}

function Cancels({ plan }: { plan: Plan }) {
  const { cancel, dependents } = plan.counts;
  const count = thousands(cancel);
  const fail = thousands(dependents);
  return (
    <p>
      {cancel > 0 && <Plural value={cancel} one="1 waiting task goes to failed." other={`${count} waiting tasks go to failed.`} />}{" "}
      {dependents > 0 && (
        <Plural value={dependents} one="1 that comes after (--after) fails too." other={`${fail} that come after (--after) fail too.`} />
      )}{" "}
      {plan.can_undo &&
        (plan.counts.stop > 0 ? (
          <Trans>What is cancelled can wait again; what is stopped stays stopped.</Trans>
        ) : (
          <Trans>This can be undone.</Trans>
        ))}
    </p>
  );
}

function Priorities({ plan }: { plan: Plan }) {
  const { priority: count } = plan.counts;
  const only = plan.tasks.length === 1 ? plan.tasks[0] : undefined;
  const changed = thousands(count);
  const value = plan.priority ?? 0;
  if (only?.place != null && only.place_after != null) {
    const { title } = only;
    const from = thousands(only.place + 1);
    const to = thousands(only.place_after + 1);
    return <Trans>{title} goes from place {from} to place {to}.</Trans>;
  }
  return (
    <Plural
      value={count}
      one={`1 waiting task gets priority ${value}; smaller runs first.`}
      other={`${changed} waiting tasks get priority ${value}; smaller runs first.`}
    />
  );
}

function Nothing({ plan }: { plan: Plan }) {
  const { nothing } = plan.counts;
  const reasons = plan.tasks.flatMap((task) => (task.does === "nothing" && task.why_not ? [said(task.why_not.text)] : []));
  const count = thousands(nothing);
  const why = listed([...new Set(reasons)].slice(0, 3));
  return (
    <p>
      {why ? (
        <Plural value={nothing} one={`1 is left as it is: ${why}.`} other={`${count} are left as they are: ${why}.`} />
      ) : (
        <Plural value={nothing} one="1 is left as it is." other={`${count} are left as they are.`} />
      )}
    </p>
  );
}

function OnNodes({ plan }: { plan: Plan }): ReactNode {
  const { running } = plan.counts;
  const runs = thousands(running);
  switch (plan.action) {
    case "pause":
      return (
        <>
          <Trans>Nothing new starts, also on later nodes.</Trans>{" "}
          <Plural value={running} _0="Nothing runs now." one="1 running task goes on." other={`${runs} running tasks go on.`} />
        </>
      );
    case "drain":
      return (
        <>
          <Trans>Nothing new starts. Each agent ends when its running tasks have ended; so do agents that start later.</Trans>{" "}
          <Plural value={running} _0="Nothing runs now." one="1 task runs." other={`${runs} tasks run.`} />
        </>
      );
    case "shutdown":
      return (
        <Plural
          value={running}
          _0="Nothing runs there. The agent ends, and its GPUs are given back."
          one="1 task runs there. The agent ends, and its GPUs are given back."
          other={`${runs} tasks run there. The agent ends, and its GPUs are given back.`}
        />
      );
    case "forget":
      return (
        <Plural
          value={running}
          _0="The silent node is put away; nothing was running there."
          one="The silent node is put away, and its task waits again."
          other={`The silent node is put away, and its ${runs} tasks wait again.`}
        />
      );
    case "keepalive_off":
      return <Trans>Idle GPUs are no longer kept busy, on all nodes, until it is switched on again.</Trans>;
    case "keepalive_on":
      return <Trans>Idle GPUs are kept busy again, as the settings say.</Trans>;
    case "resume":
      return <Trans>Tasks start again; nothing drains any more.</Trans>;
    default:
      return null;
  }
}

/** What a plan will do, in sentences. */
export function Sentences({ plan, wait }: { plan: Plan; wait?: boolean | undefined }) {
  const { stop, cancel, dependents, retry, priority, nothing, running } = plan.counts;
  const retries = thousands(retry);
  return (
    <>
      {stop > 0 && <Stops plan={plan} />}
      {(cancel > 0 || dependents > 0) && <Cancels plan={plan} />}
      {retry > 0 && (
        <p>
          <Plural
            value={retry}
            one="1 failed task waits again at its old priority."
            other={`${retries} failed tasks wait again at their old priority.`}
          />
        </p>
      )}
      {priority > 0 && (
        <p>
          <Priorities plan={plan} />
        </p>
      )}
      {plan.nodes.length > 0 || plan.action.startsWith("keepalive") ? (
        <p>
          <OnNodes plan={plan} />
        </p>
      ) : null}
      {plan.action === "shutdown" && running > 0 && (
        <p>
          {wait ? (
            <Plural value={running} one="It waits until that has ended." other="It waits until they have ended." />
          ) : (
            <Plural value={running} one="That is ended and waits again from the start." other="They are ended and wait again from the start." />
          )}
        </p>
      )}
      {nothing > 0 && <Nothing plan={plan} />}
      {plan.warnings.map((note) => (
        <p key={note.code + note.text.en} data-warning>
          {sentence(note.text)}
        </p>
      ))}
    </>
  );
}
