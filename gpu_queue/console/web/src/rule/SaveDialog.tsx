import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";

import { useSaid } from "../gpus/words";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Agents } from "./Agents";
import { DiffView } from "./DiffView";
import type { Policy, PolicyChecked } from "./requests";
import styles from "./rule.module.css";

interface SaveDialogProps {
  base: Policy;
  checked: PolicyChecked;
  isBusy: boolean;
  problem: string;
  onKeep: () => void;
  onSave: (force: boolean) => void;
}

/** What will be written, who takes it over, and the two buttons; the safe one has the focus. */
export function SaveDialog({ base, checked, isBusy, problem, onKeep, onSave }: SaveDialogProps) {
  const { t } = useLingui();
  const said = useSaid();
  const [isForced, setForced] = useState(false);
  const isRefused = checked.problems.some((one) => one.kind === "refused");
  const wasRefused = base.problems.some((one) => one.kind === "refused");
  const isWrong = checked.problems.length > 0;
  const canForce = wasRefused || !isRefused;
  const isAllowed = !isBusy && (!isWrong || (canForce && isForced));
  const count = checked.changes.length;
  return (
    <Dialog
      wide
      title={<Plural value={count} _0="Save the text?" one="Save # change?" other="Save # changes?" />}
      onClose={onKeep}
      footer={
        <>
          <Button isSafe onClick={onKeep}>
            <Trans>Keep editing</Trans>
          </Button>
          <Button variant={isWrong ? "danger" : "primary"} disabled={!isAllowed} onClick={() => onSave(isWrong)}>
            {count === 0 ? t`Save the text` : <Plural value={count} one="Save # change" other="Save # changes" />}
          </Button>
        </>
      }
    >
      <div className={styles["saving"]}>
        {problem && (
          <p role="alert" className={styles["problem"]}>
            {problem}
          </p>
        )}
        {isWrong && (
          <div className={styles["problem"]}>
            <p>{isRefused ? <Trans>No agent would obey it:</Trans> : <Trans>Its values do not fit each other, or the defaults of others:</Trans>}</p>
            <ul>
              {checked.problems.map((one, at) => {
                const { line } = one;
                return (
                  <li key={at}>
                    {line !== null && <Trans>line {line}</Trans>} {one.key} {said(one.text)}
                  </li>
                );
              })}
            </ul>
          </div>
        )}
        {!base.is_exact && (
          <p className={styles["notice"]}>
            <Trans>The file holds bytes that are no text; they are replaced.</Trans>
          </p>
        )}
        {checked.notes?.map((one) => (
          <p key={one.code} className={styles["notice"]}>
            {said(one.text)}
          </p>
        ))}
        <DiffView lines={checked.diff} />
        <h3>
          <Trans>Agents</Trans>
        </h3>
        <Agents agents={checked.agents} />
        {isWrong && canForce && (
          <label className={styles["force"]}>
            <input type="checkbox" checked={isForced} onChange={(event) => setForced(event.target.checked)} />
            <Trans>Save it all the same</Trans>
          </label>
        )}
      </div>
    </Dialog>
  );
}
