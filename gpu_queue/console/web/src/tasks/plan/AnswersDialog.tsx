import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";

import { said, sentence } from "../../api/said";
import type { Plan, PlanOutcome } from "../../api/types";
import { useNotes, useStore } from "../../live/hooks";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import styles from "./plan.module.css";

type Answer = PlanOutcome["answers"][number];

function OneAnswer({ answer }: { answer: Answer }) {
  const store = useStore();
  const node = store.living?.nodes[answer.node]?.title ?? answer.node;
  return (
    <li className={styles["answer"]}>
      <strong>{node}</strong>
      {answer.reply === "silent" && (
        <p>
          <Trans>It did not answer.</Trans>
        </p>
      )}
      {answer.reply === "gone" && (
        <p>
          <Trans>Its agent has ended.</Trans>
        </p>
      )}
      {(answer.lines ?? []).length > 0 && <pre>{(answer.lines ?? []).join("\n")}</pre>}
    </li>
  );
}

/** What each agent says of the tasks; answers come as they are given. */
export function AnswersDialog({ plan, outcome, onClose }: { plan: Plan; outcome: PlanOutcome | null; onClose: () => void }) {
  const { t } = useLingui();
  const [heard, setHeard] = useState<readonly Answer[]>([]);
  useNotes((note) => {
    if (note.plan !== plan.id || !note.node) return;
    const reply = (["answered", "gone", "silent"] as const).find((one) => one === note.reply) ?? "answered";
    const answer: Answer = { node: note.node, reply, lines: note.lines ?? [] };
    setHeard((old) => [...old.filter((one) => one.node !== answer.node), answer]);
  });
  const told = outcome?.answers ?? [];
  const answers = [...told, ...heard.filter((one) => told.every((other) => other.node !== one.node))];
  const isOver = outcome !== null;
  return (
    <Dialog
      title={t`What the agents say`}
      onClose={onClose}
      wide
      footer={
        <Button isSafe onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
      }
    >
      <div role="status">
        {!isOver && (
          <p>
            <Trans>The agents are asked …</Trans>
          </p>
        )}
        {isOver && answers.length === 0 && (
          <p>{outcome.problem ? said(outcome.problem.text) : <Trans>No agent is there to be asked.</Trans>}</p>
        )}
      </div>
      {plan.warnings.map((note) => (
        <p key={note.code}>{sentence(note.text)}</p>
      ))}
      <ul>
        {answers.map((answer) => (
          <OneAnswer key={answer.node} answer={answer} />
        ))}
      </ul>
    </Dialog>
  );
}
