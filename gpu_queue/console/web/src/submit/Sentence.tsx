import { Plural, Trans } from "@lingui/react/macro";

import { useSaid } from "../gpus/words";
import { useJob } from "../shell/job";
import { thousands } from "../ui/format";
import type { PlannedScript } from "./Needs";

const DEFAULT_PRIORITY = 500;

/** The priority that all of them have; null: not one. */
function priorityOf(found: readonly PlannedScript[], given: number | null): number | null {
  if (given !== null) return given;
  const said = new Set(found.map((one) => Number(one.needs.find((need) => need.name === "priority")?.value ?? DEFAULT_PRIORITY)));
  return said.size === 1 ? ([...said][0] ?? null) : null;
}

function Starts({ found }: { found: readonly PlannedScript[] }) {
  const said = useSaid();
  const starting = found.filter((one) => one.starts);
  const first = found[0];
  if (!first) return null;
  if (found.length === 1) {
    const { starts: node, starts_idle: idle } = first;
    if (node && idle != null) return <Trans>It can start now on {node} ({idle} idle).</Trans>;
    if (node) return <Trans>It can start now on {node}.</Trans>;
    const why = first.why_waits?.[0];
    if (!why) return <Trans>It waits.</Trans>;
    const reason = said(why.text);
    return <Trans>It waits: {reason}.</Trans>;
  }
  const count = starting.length;
  const number = thousands(count);
  return <Plural value={count} _0="All of them wait at first." one="One of them can start now." other={`${number} of them can start now, as far as GPUs reach.`} />;
}

/** What will be queued, in one sentence. */
export function Sentence({ found, priority }: { found: readonly PlannedScript[]; priority: number | null }) {
  const job = useJob();
  const tasks = found.reduce((sum, one) => sum + (one.tasks ?? 1), 0);
  const number = thousands(tasks);
  const at = priorityOf(found, priority);
  const bad = found.filter((one) => one.problem).length;
  if (found.length === 0) return null;
  if (bad > 0) return <Plural value={bad} one="1 script can never run as it is." other={`${bad} scripts can never run as they are.`} />;
  return (
    <>
      {at === null ? (
        <Plural value={tasks} one={`1 task in ${job}.`} other={`${number} tasks in ${job}.`} />
      ) : (
        <Plural value={tasks} one={`1 task at priority ${at} in ${job}.`} other={`${number} tasks at priority ${at} in ${job}.`} />
      )}{" "}
      <Starts found={found} />
    </>
  );
}
