import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi, Link, Navigate } from "@tanstack/react-router";

import { isAccessError } from "../api/client";
import { Elapsed } from "../live/Elapsed";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { Chip } from "../ui/Chip";
import { CopyLink } from "../ui/CopyLink";
import { Empty } from "../ui/Empty";
import { thousands } from "../ui/format";
import { useTitle } from "../ui/hooks";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import styles from "./Batch.module.css";
import { useBatches, type Summary } from "./batches";
import { Counts, Progress } from "./words";

const route = getRouteApi("/ui/batch");

function Line({ batch }: { batch: Summary }) {
  const { t } = useLingui();
  const all = thousands(batch.runs);
  return (
    <li className={styles["batch"]}>
      <div className={styles["first"]}>
        <Link to="/ui/batch/$key" params={{ key: batch.key }} className={styles["title"]}>
          {batch.name}
        </Link>
        <Chip>{batch.kind === "experiment" ? t`experiment` : t`command file`}</Chip>
        <span className={styles["when"]}>
          <Plural value={batch.runs} one="1 run" other={`${all} runs`} />
          {batch.user && <> · {batch.user}</>}
          {batch.last_at_s != null && (
            <>
              {" · "}
              <Trans>
                loaded <Elapsed since_s={batch.last_at_s} /> ago
              </Trans>
            </>
          )}
        </span>
      </div>
      <Progress batch={batch} />
      <Counts batch={batch} />
    </li>
  );
}

/** Command files and groups of experiments of which there are tasks; one that the address names is shown at once. */
export function BatchesPage() {
  const { t } = useLingui();
  useTitle(t`Batches`);
  const job = useJob();
  const { file, group } = route.useSearch();
  const { data, error } = useBatches();
  if (isAccessError(error)) return <TokenPanel />;
  const named = data?.batches.find(
    (one) => (group !== undefined && one.kind === "experiment" && one.name === group) || (file !== undefined && one.files.includes(file)),
  );
  if (named) return <Navigate to="/ui/batch/$key" params={{ key: named.key }} replace />;
  const unread = data?.unread ?? 0;
  const number = thousands(unread);
  return (
    <>
      <header className={styles["head"]}>
        <h1>
          <Trans>Batches</Trans>
        </h1>
        <div className={styles["actions"]}>
          <CopyLink job={job} />
        </div>
      </header>
      <p className={styles["sentence"]}>
        <Trans>The tasks of each command file, and of each group of experiment files; the one that was loaded last comes first.</Trans>
        {unread > 0 && (
          <>
            {" "}
            <span role="status">
              <Plural value={unread} one="The record of 1 task is still read." other={`The records of ${number} tasks are still read.`} />
            </span>
          </>
        )}
      </p>
      {error && !data && (
        <Panel>
          <Empty>{error.message}</Empty>
        </Panel>
      )}
      {!data && !error && <Skeleton rows={6} height_px={64} />}
      {data && data.batches.length === 0 && unread === 0 && (
        <Panel>
          <Empty command={`gpu-queue load --job-id ${job} experiments.yaml`}>
            <Trans>No task of this queue is of a command file or of an experiment. From a shell:</Trans>
          </Empty>
        </Panel>
      )}
      {data && data.batches.length > 0 && (
        <Panel>
          <ul className={styles["batches"]}>
            {data.batches.map((batch) => (
              <Line key={batch.key} batch={batch} />
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}
