import { Plural, Trans, useLingui } from "@lingui/react/macro";

import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import styles from "./dialogs.module.css";
import type { Jobfile } from "./requests";

export interface DeleteDialogProps {
  file: Jobfile;
  isUnsaved: boolean;
  onKeep: () => void;
  onGo: () => void;
}

/** What becomes of a file that is deleted, and of what was loaded from it. */
export function DeleteDialog({ file, isUnsaved, onKeep, onGo }: DeleteDialogProps) {
  const { t } = useLingui();
  const name = file.file;
  const left = (file.loaded?.waiting ?? 0) + (file.loaded?.running ?? 0);
  return (
    <Dialog
      title={t`Delete ${name}?`}
      onClose={onKeep}
      footer={
        <>
          <Button isSafe onClick={onKeep}>
            <Trans>Keep it</Trans>
          </Button>
          <Button variant="danger" onClick={onGo}>
            <Trans>Delete {name}</Trans>
          </Button>
        </>
      }
    >
      <div className={styles["words"]}>
        <p>
          <Trans>It can be restored for 30 days. Logs that are bound to its tasks are not any more.</Trans>
        </p>
        {left > 0 && (
          <p>
            <Plural value={left} one="# task that was loaded from it goes on." other="# tasks that were loaded from it go on." />
          </p>
        )}
        {isUnsaved && (
          <p className={styles["notice"]}>
            <Trans>Its changes that are not saved are gone then.</Trans>
          </p>
        )}
      </div>
    </Dialog>
  );
}
