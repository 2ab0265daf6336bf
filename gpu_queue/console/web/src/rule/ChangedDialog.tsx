import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";

import { useJob } from "../shell/job";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Skeleton } from "../ui/Skeleton";
import { DiffView } from "./DiffView";
import { policies, type Policy } from "./requests";
import styles from "./rule.module.css";

interface ChangedDialogProps {
  base: Policy;
  theirs: Policy;
  /** Only fields were changed: they can be changed in the other text too. */
  isByFields: boolean;
  onClose: () => void;
  onTake: () => void;
  onGoOn: () => void;
}

/** Somebody else has written the file: what they changed, and what is to become of one's own. */
export function ChangedDialog({ base, theirs, isByFields, onClose, onTake, onGoOn }: ChangedDialogProps) {
  const { t } = useLingui();
  const job = useJob();
  const found = useQuery({
    queryKey: ["policy", job, "theirs", base.etag, theirs.etag],
    queryFn: ({ signal }) => policies.check(job, theirs.text, {}, base.text, signal),
  });
  const by = theirs.by;
  return (
    <Dialog
      wide
      title={t`config.yaml was changed meanwhile`}
      onClose={onClose}
      footer={
        <>
          <Button isSafe onClick={onClose}>
            <Trans>Not now</Trans>
          </Button>
          <Button variant="danger" onClick={onTake}>
            <Trans>Drop mine, take theirs</Trans>
          </Button>
          <Button variant="primary" onClick={onGoOn}>
            {isByFields ? <Trans>Put my changes into theirs</Trans> : <Trans>Go on with my text</Trans>}
          </Button>
        </>
      }
    >
      <div className={styles["saving"]}>
        <p>
          {theirs.exists ? <Trans>It is a file of {by} now. What was changed in it since you began:</Trans> : <Trans>The file is gone now.</Trans>}
        </p>
        {found.data ? <DiffView lines={found.data.diff} /> : <Skeleton rows={4} />}
        {found.data?.diff.length === 0 && (
          <p className={styles["hint"]}>
            <Trans>Nothing but what cannot be seen.</Trans>
          </p>
        )}
        {!isByFields && (
          <p className={styles["hint"]}>
            <Trans>Your text takes back what they changed, unless you put it in; the difference shows it before it is saved.</Trans>
          </p>
        )}
      </div>
    </Dialog>
  );
}
