import { useLingui, Trans } from "@lingui/react/macro";
import { useState, type FormEvent } from "react";

import type { Plan } from "../../api/types";
import { useJob } from "../../shell/job";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import styles from "./plan.module.css";
import { PlannedTasks } from "./PlannedTasks";
import { Sentences } from "./Sentences";
import { questionOf } from "./words";

interface PlanDialogProps {
  plan: Plan;
  wait?: boolean | undefined;
  onKeep: () => void;
  onGo: (typed: string) => void;
}

/** What will happen, and the two buttons: the safe one has the focus, the other one repeats verb and number. */
export function PlanDialog({ plan, wait, onKeep, onGo }: PlanDialogProps) {
  const { t, i18n } = useLingui();
  const job = useJob();
  const [typed, setTyped] = useState("");
  const { title, keep, go, isDanger } = questionOf(i18n, plan, job);
  const isAllowed = plan.can_run && (!plan.must_type || typed.trim() === plan.must_type);
  const name = plan.must_type;
  const send = (event: FormEvent): void => {
    event.preventDefault();
    if (isAllowed) onGo(typed.trim());
  };
  return (
    <Dialog
      title={title}
      onClose={onKeep}
      footer={
        <>
          <Button isSafe onClick={onKeep}>
            {plan.can_run ? keep : t`Close`}
          </Button>
          {plan.can_run && (
            <Button variant={isDanger ? "danger" : "primary"} disabled={!isAllowed} onClick={() => onGo(typed.trim())}>
              {go}
            </Button>
          )}
        </>
      }
    >
      <div className={styles["words"]}>
        {!plan.can_run && (
          <p>
            <Trans>Nothing would happen.</Trans>
          </p>
        )}
        <Sentences plan={plan} wait={wait} />
      </div>
      <PlannedTasks plan={plan} />
      {name && plan.can_run && (
        <form className={styles["field"]} onSubmit={send}>
          <label htmlFor="plan-typed">
            <Trans>
              Type <strong>{name}</strong> to confirm
            </Trans>
          </label>
          <input
            id="plan-typed"
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        </form>
      )}
    </Dialog>
  );
}
