import { Plural, Trans, useLingui } from "@lingui/react/macro";

import { said as saidIn, sentence } from "../../api/said";
import type { PlanOutcome } from "../../api/types";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { thousands } from "../../ui/format";
import styles from "./plan.module.css";
import { notDone } from "./running";

type TaskOutcome = PlanOutcome["outcomes"][number];

function Why({ one }: { one: TaskOutcome }) {
  const { where, why, what } = one;
  if (why) return <>{saidIn(why.text)}</>;
  if (what === "gone") return where ? <Trans>it is in {where} now</Trans> : <Trans>it is in the queue no more</Trans>;
  if (what === "unknown") return <Trans>nobody knows whether it was done</Trans>;
  return <Trans>refused</Trans>;
}

interface OutcomeDialogProps {
  /** What was done; empty: nothing. */
  said: string;
  outcome: PlanOutcome;
  onClose: () => void;
  onUndo: (() => void) | null;
  /** Asks anew, without regard to signs of life. */
  onForce: (() => void) | null;
}

/** What was not done, and why. */
export function OutcomeDialog({ said, outcome, onClose, onUndo, onForce }: OutcomeDialogProps) {
  const { t } = useLingui();
  const missed = outcome.outcomes.filter((one) => one.what !== "done");
  const count = notDone(outcome);
  const number = thousands(count);
  return (
    <Dialog
      title={<Plural value={count} _0="It did not come to its end" one="1 was not done" other={`${number} were not done`} />}
      onClose={onClose}
      wide
      footer={
        <>
          <Button isSafe onClick={onClose}>
            <Trans>Close</Trans>
          </Button>
          {onForce && (
            <Button variant="danger" onClick={onForce}>
              <Trans>Forget it by force …</Trans>
            </Button>
          )}
          {onUndo && (
            <Button onClick={onUndo}>
              <Trans>Undo what was done</Trans>
            </Button>
          )}
        </>
      }
    >
      {said && (
        <p>
          <Trans>{said}.</Trans>
        </p>
      )}
      {outcome.problem && <p role="alert">{sentence(outcome.problem.text)}</p>}
      <ul className={styles["outcomes"]} aria-label={t`What was not done`} tabIndex={0}>
        {missed.map((one) => (
          <li key={one.key} className={styles["outcome"]}>
            <span>{one.title}</span>
            <span>
              <Why one={one} />
            </span>
          </li>
        ))}
      </ul>
      {missed.length < count && (
        <p className={styles["more"]}>
          <Trans>The first {missed.length} are shown.</Trans>
        </p>
      )}
    </Dialog>
  );
}
