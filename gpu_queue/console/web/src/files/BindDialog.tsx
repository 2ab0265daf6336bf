import { Trans, useLingui } from "@lingui/react/macro";

import { client } from "../api/client";
import { useJob } from "../shell/job";
import { FieldDialog } from "./FieldDialog";
import styles from "./dialogs.module.css";
import type { Which } from "./names";
import type { TreeTask } from "./requests";

export interface BindDialogProps {
  which: Which;
  queue: string | null;
  task: TreeTask;
  onClose: () => void;
  onBound: () => void;
}

/** Binds a log file to a task of a file, for this load and for later ones. */
export function BindDialog({ which, queue, task, onClose, onBound }: BindDialogProps) {
  const { t } = useLingui();
  const job = useJob();
  const { position, commands, bound_log: bound = "" } = task;
  const bind = async (path: string): Promise<void> => {
    const index = which.mode === "yaml" ? which.index : Number(which.index);
    await client.post("api/log/bind", { path, mode: which.mode, config_index: index, queue, position }, { query: { job } });
    onBound();
  };
  return (
    <FieldDialog
      title={t`Bind a log`}
      label={<Trans>Path of the file</Trans>}
      value={bound}
      placeholder="logs/train.log"
      go={t`Bind it`}
      hint={<Trans>In the queue's logs/, or in a folder that the console was given with --log-root. It is kept for later loads of this task.</Trans>}
      onClose={onClose}
      onGo={bind}
    >
      <p className={styles["hint"]}>
        <code>{commands[0]}</code>
      </p>
    </FieldDialog>
  );
}
