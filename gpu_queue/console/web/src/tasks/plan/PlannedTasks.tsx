import { Plural, Trans, useLingui } from "@lingui/react/macro";

import { said } from "../../api/said";
import type { Plan } from "../../api/types";
import { Elapsed } from "../../live/Elapsed";
import { useStore } from "../../live/hooks";
import { useConsoleInfo } from "../../shell/console";
import { thousands, visible } from "../../ui/format";
import { StateShape } from "../../ui/StateShape";
import styles from "./plan.module.css";

type Planned = Plan["tasks"][number];

function useStartedAt(): (key: string) => number | null {
  const store = useStore();
  return (key) => Object.values(store.living?.running ?? {}).find((one) => one.key === key)?.started_at_s ?? null;
}

function Now({ task }: { task: Planned }) {
  const startedAt = useStartedAt();
  if (task.does === "nothing") return <>{task.why_not && said(task.why_not.text)}</>;
  if (task.state === "waiting") return task.place_after != null && task.place != null ? <Places task={task} /> : <Trans>waits</Trans>;
  if (task.state === "running") {
    const started_at_s = startedAt(task.key);
    if (started_at_s === null) return <Trans>runs</Trans>;
    return (
      <Trans>
        runs for <Elapsed since_s={started_at_s} />
      </Trans>
    );
  }
  if (task.since_at_s == null) return <Trans>ended</Trans>;
  return (
    <Trans>
      ended <Elapsed since_s={task.since_at_s} short /> ago
    </Trans>
  );
}

function Places({ task }: { task: Planned }) {
  const from = thousands((task.place ?? 0) + 1);
  const to = thousands((task.place_after ?? 0) + 1);
  return <Trans>place {from} → {to}</Trans>;
}

/** The first tasks that a plan is about. */
export function PlannedTasks({ plan }: { plan: Plan }) {
  const { t } = useLingui();
  const { data: self } = useConsoleInfo();
  if (plan.tasks.length === 0) return null;
  const more = plan.counts.total - plan.tasks.length;
  const rest = thousands(more);
  return (
    <>
      <ul className={styles["tasks"]} aria-label={t`Tasks that it is about`} tabIndex={0}>
        {plan.tasks.map((task) => (
          <li key={task.key} className={styles["task"]}>
            <StateShape shape={task.state} />
            <code>{task.short}</code>
            <span className={styles["title"]} title={task.title}>
              {task.title}
            </span>
            <span className={styles["now"]}>
              {task.user && self && task.user !== self.user && (
                <>
                  <Trans>
                    by <strong>{visible(task.user)}</strong>
                  </Trans>{" "}
                  ·{" "}
                </>
              )}
              <Now task={task} />
            </span>
          </li>
        ))}
      </ul>
      {more > 0 && (
        <p className={styles["more"]}>
          <Plural value={more} one="and 1 more" other={`and ${rest} more`} />
        </p>
      )}
    </>
  );
}
