import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";

import type { Plan } from "../../api/types";
import { useNotes } from "../../live/hooks";
import { Bar } from "../../ui/Bar";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { thousands } from "../../ui/format";
import styles from "./plan.module.css";

/** How far it is. Closing it does not stop it. */
export function ProgressDialog({ plan, onClose }: { plan: Plan; onClose: () => void }) {
  const { t } = useLingui();
  const [far, setFar] = useState({ done: 0, total: plan.counts.total });
  useNotes((note) => {
    if (note.plan === plan.id && (note.total ?? 0) > 0) setFar({ done: note.done ?? 0, total: note.total ?? 0 });
  });
  const done = thousands(far.done);
  const total = thousands(far.total);
  return (
    <Dialog
      title={t`It is being done`}
      onClose={onClose}
      footer={
        <Button isSafe onClick={onClose}>
          <Trans>Go on in the background</Trans>
        </Button>
      }
    >
      <div className={styles["progress"]} role="status">
        <p>
          <Trans>
            {done} of {total}
          </Trans>
        </p>
        <Bar share={far.total > 0 ? far.done / far.total : null} tone="busy" label={t`how far it is`} />
      </div>
    </Dialog>
  );
}
