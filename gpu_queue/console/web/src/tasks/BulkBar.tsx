import { Plural, Trans, useLingui } from "@lingui/react/macro";

import type { PlanRequest, TaskFilter } from "../api/types";
import { Button } from "../ui/Button";
import { thousands } from "../ui/format";
import styles from "./BulkBar.module.css";
import { EXPLAINED_MAX } from "./limits";
import { usePlan } from "./plan/usePlan";
import type { Selection } from "./selection";

export interface BulkBarProps {
  selection: Selection;
  filter: TaskFilter;
  /** All that match. */
  total: number;
  isReadOnly: boolean;
}

/** What can be done with what is selected; floats above the end of the list. */
export function BulkBar({ selection, filter, total, isReadOnly }: BulkBarProps) {
  const { t } = useLingui();
  const plan = usePlan();
  const { count, states, isAll } = selection;
  if (count === 0) return null;
  const act = (action: PlanRequest["action"]): void =>
    plan({ action, ...selection.wanted() }, action === "explain" ? undefined : selection.clear);
  const number = thousands(count);
  const all = thousands(total);
  const waits = states.has("waiting");
  const runs = states.has("running");
  return (
    <div className={styles["bar"]} role="region" aria-label={t`What is selected`}>
      <strong>{isAll ? <Trans>all {number} selected</Trans> : <Plural value={count} one="1 selected" other={`${number} selected`} />}</strong>
      {!isAll && total > count && (
        <Button size="small" variant="bare" onClick={() => selection.selectAll(filter, total)}>
          <Trans>Select all {all} that match</Trans>
        </Button>
      )}
      {!isReadOnly && (waits || runs) && (
        <Button size="small" onClick={() => act(runs ? "stop" : "cancel")}>
          {runs && waits ? <Trans>Stop and cancel</Trans> : runs ? <Trans>Stop</Trans> : <Trans>Cancel</Trans>}
        </Button>
      )}
      {!isReadOnly && states.has("failed") && (
        <Button size="small" onClick={() => act("retry")}>
          <Trans>Retry</Trans>
        </Button>
      )}
      {!isReadOnly && waits && (
        <Button size="small" onClick={() => act("priority")}>
          <Trans>Priority</Trans>
        </Button>
      )}
      {!isReadOnly && waits && count <= EXPLAINED_MAX && (
        <Button size="small" onClick={() => act("explain")}>
          <Trans>Explain</Trans>
        </Button>
      )}
      <Button size="small" onClick={selection.clear}>
        <Trans>Clear</Trans>
      </Button>
    </div>
  );
}
