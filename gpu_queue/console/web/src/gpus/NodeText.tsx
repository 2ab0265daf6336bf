import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";

import { spool } from "../api/base";
import { client, isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { Drawer } from "../ui/Drawer";
import { visible } from "../ui/format";
import { Skeleton } from "../ui/Skeleton";
import styles from "./NodeText.module.css";

function Text({ nodeKey }: { nodeKey: string }) {
  const job = useJob();
  const detail = useQuery({
    queryKey: ["node", job, nodeKey],
    queryFn: ({ signal }) => client.get<{ text: string }>(spool(job, "nodes", nodeKey), { signal }),
  });
  if (isAccessError(detail.error)) return <TokenPanel />;
  if (detail.error) {
    const problem = errorWords(detail.error);
    return <Trans>It could not be read: {problem}</Trans>;
  }
  if (!detail.data) return <Skeleton rows={12} height_px={18} />;
  return <pre className={styles["text"]}>{visible(detail.data.text)}</pre>;
}

/** The file in which an agent tells of itself, as it stands there. */
export function NodeText({ nodeKey, title, onClose }: { nodeKey: string; title: string; onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Drawer title={t`What the agent of ${title} tells`} onClose={onClose}>
      <Text nodeKey={nodeKey} />
    </Drawer>
  );
}
