import { Trans } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";

import type { TaskDetail } from "../api/types";
import { thousands } from "../ui/format";
import styles from "./Batch.module.css";
import { useBatchOf } from "./batches";

/** `part of lr-sweep, 31 of 240`, where a task is of a batch. */
export function PartOf({ detail }: { detail: TaskDetail }) {
  const isOfOne = detail.experiment !== "" || "batch" in detail.record || "experiment" in detail.record;
  const { data } = useBatchOf(detail.row.key, isOfOne);
  if (!data?.batch) return null;
  const { key, name } = data.batch;
  const number = thousands(data.number);
  const all = thousands(data.batch.runs);
  return (
    <>
      {" · "}
      <Link to="/ui/batch/$key" params={{ key }} className={styles["back"]}>
        <Trans>
          part of {name}, {number} of {all}
        </Trans>
      </Link>
      {data.is_superseded && (
        <>
          {" "}
          <Trans>(queued again since)</Trans>
        </>
      )}
    </>
  );
}
