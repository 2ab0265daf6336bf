import { useLingui } from "@lingui/react/macro";
import { IconLink } from "@tabler/icons-react";

import { IconButton } from "./Button";
import { copyText, sharedLink } from "./copy";
import { toast } from "./Toast";

/** Copies the address of what is shown, and says so. */
export function useCopyLink(job: string): () => void {
  const { t } = useLingui();
  return () => {
    const link = sharedLink(job);
    void copyText(link).then((isDone) => toast({ text: isDone ? t`The link to this view was copied` : link, for_s: 6 }));
  };
}

/** A button for it. */
export function CopyLink({ job }: { job: string }) {
  const { t } = useLingui();
  const copy = useCopyLink(job);
  return (
    <IconButton label={t`Copy the link to this view`} onClick={copy}>
      <IconLink size={16} stroke={1.6} aria-hidden="true" />
    </IconButton>
  );
}
