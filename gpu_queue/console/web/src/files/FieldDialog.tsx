import { Trans } from "@lingui/react/macro";
import { useId, useState, type FormEvent, type ReactNode } from "react";

import { errorWords } from "../api/said";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import styles from "./dialogs.module.css";

export interface FieldDialogProps {
  title: string;
  label: ReactNode;
  hint?: ReactNode;
  value: string;
  placeholder?: string;
  go: string;
  canBeEmpty?: boolean;
  children?: ReactNode;
  onClose: () => void;
  /** Throws why it cannot be so. */
  onGo: (value: string) => Promise<void>;
}

/** One value that is asked for. */
export function FieldDialog({ title, label, hint, value: given, placeholder, go, canBeEmpty, children, onClose, onGo }: FieldDialogProps) {
  const [value, setValue] = useState(given);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const id = useId();
  const formId = useId();
  const send = (event: FormEvent): void => {
    event.preventDefault();
    if (isBusy || (!canBeEmpty && value.trim() === "")) return;
    setBusy(true);
    setProblem("");
    onGo(value.trim()).catch((error: unknown) => {
      setProblem(errorWords(error));
      setBusy(false);
    });
  };
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>
            <Trans>Leave it</Trans>
          </Button>
          <Button type="submit" form={formId} variant="primary" disabled={isBusy || (!canBeEmpty && value.trim() === "")}>
            {go}
          </Button>
        </>
      }
    >
      {children}
      <form id={formId} onSubmit={send} className={styles["field"]}>
        <label htmlFor={id}>{label}</label>
        <input
          id={id}
          data-focus
          value={value}
          placeholder={placeholder}
          maxLength={4096}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          onChange={(event) => setValue(event.target.value)}
        />
        {hint && <p className={styles["hint"]}>{hint}</p>}
        <p role="alert" className={styles["problem"]}>
          {problem}
        </p>
      </form>
    </Dialog>
  );
}
