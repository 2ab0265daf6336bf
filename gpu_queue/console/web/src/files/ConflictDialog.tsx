import { Trans, useLingui } from "@lingui/react/macro";
import { useState } from "react";

import { Elapsed } from "../live/Elapsed";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Tabs } from "../ui/Tabs";
import { DiffView } from "./DiffView";
import styles from "./dialogs.module.css";
import type { Jobfile } from "./requests";

export interface ConflictDialogProps {
  /** What was read before it was changed here. */
  base: string;
  mine: string;
  /** As it lies on the disk now. */
  theirs: Jobfile;
  onClose: () => void;
  onMine: () => void;
  onTheirs: () => void;
}

/** Somebody else has changed the file meanwhile: what they changed, and whose text stays. */
export function ConflictDialog({ base, mine, theirs, onClose, onMine, onTheirs }: ConflictDialogProps) {
  const { t } = useLingui();
  const [tab, setTab] = useState<"theirs" | "mine">("theirs");
  const { file, modified_by: by } = theirs;
  return (
    <Dialog
      title={t`${file} was changed meanwhile`}
      onClose={onClose}
      wide
      footer={
        <>
          <Button isSafe onClick={onClose}>
            <Trans>Neither yet</Trans>
          </Button>
          <Button onClick={onTheirs}>
            <Trans>Take theirs</Trans>
          </Button>
          <Button variant="danger" onClick={onMine}>
            <Trans>Keep mine</Trans>
          </Button>
        </>
      }
    >
      <div className={styles["words"]}>
        <p>
          {by ? (
            <Trans>
              {by} has saved another text <Elapsed since_s={theirs.modified_at} short /> ago.
            </Trans>
          ) : (
            <Trans>
              Another text was saved <Elapsed since_s={theirs.modified_at} short /> ago.
            </Trans>
          )}{" "}
          <Trans>Keep mine writes the text of this page over it; Take theirs shows it here, and undo (Ctrl Z) brings yours back.</Trans>
        </p>
        <Tabs
          label={t`Changes`}
          tabs={[
            { id: "theirs", label: t`What they changed` },
            { id: "mine", label: t`What Keep mine changes` },
          ]}
          current={tab}
          onChange={setTab}
        />
        {tab === "theirs" ? (
          <DiffView old={base} next={theirs.text} label={t`What they changed`} />
        ) : (
          <DiffView old={theirs.text} next={mine} label={t`What Keep mine changes`} />
        )}
      </div>
    </Dialog>
  );
}
