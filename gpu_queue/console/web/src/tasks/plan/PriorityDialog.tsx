import { Trans, useLingui } from "@lingui/react/macro";
import { useState, type FormEvent } from "react";

import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import styles from "./plan.module.css";

/** Asks which priority. */
export function PriorityDialog({ onClose, onChosen }: { onClose: () => void; onChosen: (priority: number) => void }) {
  const { t } = useLingui();
  const [typed, setTyped] = useState("500");
  const isValid = /^\d{1,3}$/.test(typed.trim());
  const send = (event: FormEvent): void => {
    event.preventDefault();
    if (isValid) onChosen(Number(typed));
  };
  return (
    <Dialog
      title={t`Which priority?`}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>
            <Trans>Leave it</Trans>
          </Button>
          <Button variant="primary" type="submit" form="priority-form" disabled={!isValid}>
            <Trans>Change it</Trans>
          </Button>
        </>
      }
    >
      <form id="priority-form" className={styles["field"]} onSubmit={send}>
        <label htmlFor="priority-value">
          <Trans>Priority, 0 to 999</Trans>
        </label>
        <input
          id="priority-value"
          data-focus
          inputMode="numeric"
          value={typed}
          aria-invalid={!isValid || undefined}
          aria-describedby="priority-hint"
          onFocus={(event) => event.target.select()}
          onChange={(event) => setTyped(event.target.value)}
        />
        <p id="priority-hint" className={styles["hint"]}>
          <Trans>Smaller runs first; 500 is what tasks have that do not say.</Trans>
        </p>
      </form>
    </Dialog>
  );
}
