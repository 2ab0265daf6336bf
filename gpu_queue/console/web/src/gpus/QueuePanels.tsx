import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo } from "react";

import { Elapsed } from "../live/Elapsed";
import { useEntity, useKeys, useLiving, useMap, useNow } from "../live/hooks";
import { Bar } from "../ui/Bar";
import { thousands } from "../ui/format";
import { Panel } from "../ui/Panel";
import { StateShape } from "../ui/StateShape";
import { outcomeWords } from "../ui/outcome";
import styles from "./QueuePanels.module.css";
import { useSaid } from "./words";

const WAITING_SHOWN = 8;
const RUNNING_SHOWN = 12;
const ENDED_SHOWN = 7;

const WaitingLine = memo(function WaitingLine({ task, place }: { task: string; place: number }) {
  const said = useSaid();
  const waiting = useEntity("waiting", task);
  if (!waiting) return null;
  const why = waiting.why[0];
  const { title, gpus } = waiting;
  return (
    <li className={styles["line"]} data-task={task}>
      <span className={styles["place"]}>{place}</span>
      <div className={styles["words"]}>
        {waiting.has_id ? (
          <Link to="/ui/state/$id" params={{ id: task }} className={styles["title"]} title={title}>
            {title}
          </Link>
        ) : (
          <span className={styles["title"]}>{title}</span>
        )}
      </div>
      <span className={styles["facts"]}>
        {gpus && <><Trans>{gpus} GPU</Trans> · </>}
        <Elapsed since_s={waiting.submitted_at_s} />
      </span>
      {why && <p className={styles["why"]}>{said(why.text)}</p>}
    </li>
  );
});

function WaitingPanel() {
  const { t } = useLingui();
  const order = useLiving("waiting_order") ?? [];
  const count = useLiving("counts")?.waiting ?? order.length;
  if (count === 0) return null;
  const total = thousands(count);
  return (
    <Panel title={t`Waiting`} count={total} aside={t`in run order`}>
      <ol aria-label={t`Waiting tasks, in run order`}>
        {order.slice(0, WAITING_SHOWN).map((task, at) => (
          <WaitingLine key={task} task={task} place={at + 1} />
        ))}
      </ol>
      {count > WAITING_SHOWN && (
        <Link to="/ui/state" search={{ state: "waiting" }} className={styles["all"]}>
          <Trans>all {total} …</Trans>
        </Link>
      )}
    </Panel>
  );
}

function TimeUsed({ started_at_s, limit_s }: { started_at_s: number; limit_s: number }) {
  const { t } = useLingui();
  const now_s = useNow(15);
  return <Bar thin tone="busy" share={(now_s - started_at_s) / limit_s} label={t`share of its time`} className={styles["used"]} />;
}

const RunningLine = memo(function RunningLine({ claim }: { claim: string }) {
  const { t } = useLingui();
  const running = useEntity("running", claim);
  const node = useEntity("nodes", running?.node ?? "");
  if (!running) return null;
  const { key, title, started_at_s, limit_s, number } = running;
  const count = running.gpus.length;
  const where = node?.title ?? running.node;
  return (
    <li className={styles["line"]} data-task={`${key} ${claim}`}>
      <span className={styles["shape"]}>
        <StateShape shape="running" label={t`running`} />
      </span>
      <div className={styles["words"]}>
        <Link to="/ui/state/$id" params={{ id: key }} className={styles["title"]} title={title}>
          {title}
        </Link>
        {number > 1 && <span className={styles["try"]}> {t`try ${number}`}</span>}
      </div>
      <span className={styles["facts"]}>
        <Trans>{count} GPU</Trans> ·{" "}
        {where} · <Elapsed since_s={started_at_s} />
      </span>
      {started_at_s != null && limit_s != null && <TimeUsed started_at_s={started_at_s} limit_s={limit_s} />}
    </li>
  );
});

function RunningPanel() {
  const { t } = useLingui();
  const map = useMap("running") ?? {};
  const count = useLiving("counts")?.running ?? Object.keys(map).length;
  const claims = Object.keys(map).sort((a, b) => (map[a]?.started_at_s ?? 0) - (map[b]?.started_at_s ?? 0));
  if (claims.length === 0) return null;
  const total = thousands(count);
  return (
    <Panel title={t`Running`} count={total}>
      <ul aria-label={t`Running tasks`}>
        {claims.slice(0, RUNNING_SHOWN).map((claim) => (
          <RunningLine key={claim} claim={claim} />
        ))}
      </ul>
      {claims.length > RUNNING_SHOWN && (
        <Link to="/ui/state" search={{ state: "running" }} className={styles["all"]}>
          <Trans>all {total} …</Trans>
        </Link>
      )}
    </Panel>
  );
}

const EndedLine = memo(function EndedLine({ task }: { task: string }) {
  const { t } = useLingui();
  const ended = useEntity("ended", task);
  const node = useEntity("nodes", ended?.node ?? "");
  if (!ended) return null;
  const { title, state, outcome, error_type } = ended;
  const isStopped = ["stopped", "cancelled", "canceled"].includes(outcome);
  const shape = state === "done" ? "done" : isStopped ? "stopped" : "failed";
  const word = state === "done" ? t`done` : error_type && error_type !== "unknown" ? `${outcomeWords(outcome)} · ${error_type}` : outcomeWords(outcome) || t`failed`;
  return (
    <li className={styles["line"]} data-task={task}>
      <span className={styles["shape"]}>
        <StateShape shape={shape} label={word} />
      </span>
      <div className={styles["words"]}>
        <Link to="/ui/state/$id" params={{ id: task }} className={styles["title"]} title={title}>
          {title}
        </Link>
      </div>
      <span className={styles["facts"]}>
        {state !== "done" && <span className={shape === "failed" ? styles["failed"] : undefined}>{word} · </span>}
        {(node?.title ?? ended.node) && <>{node?.title ?? ended.node} · </>}
        <Elapsed since_s={ended.ended_at_s} short />
      </span>
    </li>
  );
});

function EndedPanel() {
  const { t } = useLingui();
  const order = useLiving("ended_order") ?? [];
  useKeys("ended");
  if (order.length === 0) return null;
  return (
    <Panel title={t`Ended`}>
      <ul aria-label={t`Tasks that ended, the newest first`}>
        {order.slice(0, ENDED_SHOWN).map((task) => (
          <EndedLine key={task} task={task} />
        ))}
      </ul>
      {order.length > ENDED_SHOWN && (
        <Link to="/ui/state" search={{ state: "all", sort: "newest" }} className={styles["all"]}>
          <Trans>all …</Trans>
        </Link>
      )}
    </Panel>
  );
}

/** What waits, runs, and has ended. */
export function QueuePanels() {
  return (
    <>
      <WaitingPanel />
      <RunningPanel />
      <EndedPanel />
    </>
  );
}
