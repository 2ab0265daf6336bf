import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import { useLingui } from "@lingui/react/macro";

import { thousands } from "../ui/format";
import { StateShape, type Shape } from "../ui/StateShape";
import styles from "./Batch.module.css";
import type { Summary } from "./batches";
import { PHASES, type Phase } from "./search";

export const PHASE_WORDS: Record<Phase, MessageDescriptor> = {
  done: msg`done`,
  failed: msg`failed`,
  cancelled: msg`cancelled`,
  running: msg`running`,
  waiting: msg`waiting`,
};

export const SHAPES: Record<Phase, Shape> = {
  done: "done",
  failed: "failed",
  cancelled: "stopped",
  running: "running",
  waiting: "waiting",
};

/** In the order in which they stand in a bar. */
const BAR: readonly Phase[] = ["done", "failed", "cancelled", "running", "waiting"];

/** How far a batch is, as a bar; its words stand beside it. */
export function Progress({ batch }: { batch: Summary }) {
  return (
    <span className={styles["progress"]} aria-hidden="true">
      {BAR.filter((phase) => batch.counts[phase] > 0).map((phase) => (
        <span key={phase} className={styles[phase]} style={{ flexGrow: batch.counts[phase] }} />
      ))}
    </span>
  );
}

/** How many are where: `31 done`, `4 failed`; a click shows these alone. */
export function Counts({ batch, state, onState }: { batch: Summary; state?: Phase | undefined; onState?: (state: Phase | undefined) => void }) {
  const { i18n } = useLingui();
  return (
    <ul className={styles["counts"]}>
      {PHASES.filter((phase) => batch.counts[phase] > 0).map((phase) => {
        const inside = (
          <>
            <StateShape shape={SHAPES[phase]} size={11} />
            <b>{thousands(batch.counts[phase])}</b> {i18n._(PHASE_WORDS[phase])}
          </>
        );
        return (
          <li key={phase}>
            {onState ? (
              <button type="button" aria-pressed={state === phase} onClick={() => onState(state === phase ? undefined : phase)}>
                {inside}
              </button>
            ) : (
              inside
            )}
          </li>
        );
      })}
    </ul>
  );
}
