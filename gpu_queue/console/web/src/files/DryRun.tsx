import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo, useEffect, useRef, useState, type ReactNode } from "react";

import type { LineRange } from "../editor/types";
import { useSaid } from "../gpus/words";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { thousands } from "../ui/format";
import styles from "./DryRun.module.css";
import type { Mode } from "./names";
import type { Check } from "./useCheck";
import type { TreeQueue, TreeTask } from "./requests";

const SHOWN = 100;

/** Which tasks of a file a line belongs to: the one that is nearest above, of those whose lines hold it. */
export function taskAt(tree: readonly TreeQueue[], line: number): TreeTask | undefined {
  let found: TreeTask | undefined;
  for (const { tasks } of tree)
    for (const task of tasks) if (task.line <= line && line <= task.last_line && (!found || task.line > found.line)) found = task;
  return found;
}

interface TaskRowProps {
  task: TreeTask;
  place: number;
  mode: Mode;
  isMarked: boolean;
  onPick: (task: TreeTask) => void;
  onBind: ((task: TreeTask) => void) | null;
}

const TaskRow = memo(function TaskRow({ task, place, mode, isMarked, onPick, onBind }: TaskRowProps) {
  const { t } = useLingui();
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isMarked) row.current?.scrollIntoView({ block: "nearest" });
  }, [isMarked]);
  const { commands, gpus, memory_gb: memory, line, title, bound_log: bound = "" } = task;
  // Of an experiment, what it runs stands at the end of its script; a block of commands is known by its first one.
  const isExperiment = mode === "yaml";
  const shown = (isExperiment ? commands.at(-1) : commands[0]) ?? "";
  const more = isExperiment ? 0 : commands.length - 1;
  const name = bound.slice(bound.lastIndexOf("/") + 1);
  return (
    <li ref={row} className={cx(styles["task"], isMarked && styles["marked"])} aria-current={isMarked || undefined}>
      <button type="button" className={styles["pick"]} title={commands.join("\n")} onClick={() => onPick(task)}>
        <span className={styles["place"]}>{place}</span>
        <span className={styles["what"]}>
          {isExperiment && <span className={styles["title"]}>{title}</span>}
          <code>{shown}</code>
        </span>
        <span className={styles["facts"]}>
          {more > 0 && <span>{t`+${more} more`}</span>}
          {gpus && <span>{t`${gpus} GPU`}</span>}
          {memory != null && <span>{thousands(memory)} GB</span>}
          <span className={styles["line"]}>{t`line ${line}`}</span>
        </span>
      </button>
      {onBind && (
        <Button
          variant="bare"
          size="small"
          className={styles["bind"]}
          title={bound || undefined}
          onClick={() => onBind(task)}
        >
          {bound ? name : t`bind log`}
          <span className="sr-only">
            {" "}
            {bound ? t`(log bound to task ${place})` : t`(to task ${place})`}
          </span>
        </Button>
      )}
    </li>
  );
});

interface QueueProps {
  queue: TreeQueue;
  mode: Mode;
  marked: number | null;
  onPick: (task: TreeTask) => void;
  onBind: ((task: TreeTask) => void) | null;
}

function Queue({ queue, mode, marked, onPick, onBind }: QueueProps) {
  const [isWhole, setWhole] = useState(false);
  const { queue: name, tasks, left_out: left = 0, state, busy_title: title, busy_with: holder } = queue;
  const at = marked === null ? -1 : tasks.findIndex((task) => task.position === marked);
  const most = isWhole ? tasks.length : Math.max(SHOWN, at + 1);
  const count = tasks.length + left;
  const total = thousands(tasks.length);
  return (
    <details open className={styles["queue"]}>
      <summary>
        {name === null ? (
          <strong>
            <Trans>no queue: side by side</Trans>
          </strong>
        ) : (
          <strong>
            <Trans>queue {name}</Trans>
          </strong>
        )}
        <span className={styles["about"]}>
          <Plural value={count} one="# task" other="# tasks" />
          {name !== null && (
            <>
              {" · "}
              {state === "busy" ? <Trans>busy</Trans> : <Trans>idle</Trans>}
            </>
          )}
        </span>
      </summary>
      {state === "busy" && title && holder && (
        <p className={styles["holds"]}>
          <Trans>
            now:{" "}
            <Link to="/ui/state/$id" params={{ id: holder }}>
              {title}
            </Link>
          </Trans>
        </p>
      )}
      <ol>
        {tasks.slice(0, most).map((task, place) => (
          <TaskRow key={task.position} task={task} place={place + 1} mode={mode} isMarked={task.position === marked} onPick={onPick} onBind={onBind} />
        ))}
      </ol>
      {tasks.length > most && (
        <Button variant="bare" size="small" onClick={() => setWhole(true)}>
          <Trans>all {total} …</Trans>
        </Button>
      )}
      {left > 0 && (isWhole || tasks.length <= most) && (
        <p className={styles["left"]}>
          <Plural value={left} one="# more task is not shown." other="# more tasks are not shown." />
        </p>
      )}
    </details>
  );
}

export interface DryRunProps {
  check: Check;
  mode: Mode;
  /** The line of the editor's cursor. */
  line: number;
  onLines: (lines: LineRange) => void;
  onBind: ((task: TreeTask) => void) | null;
  onWorkDir: (() => void) | null;
  /** Below the queues. */
  children?: ReactNode;
}

/** What a load would queue: each queue with its tasks; a click on one marks its lines. */
export function DryRun({ check, mode, line, onLines, onBind, onWorkDir, children }: DryRunProps) {
  const { t } = useLingui();
  const said = useSaid();
  const { found, isOld } = check;
  const { tree, tasks, queues } = found;
  const marked = taskAt(tree, line)?.position ?? null;
  const pick = useRef(onLines);
  pick.current = onLines;
  const [onPick] = useState(() => (task: TreeTask) => pick.current({ from: task.line, to: task.last_line }));
  const count = thousands(tasks);
  return (
    <section className={cx(styles["dryRun"], isOld && styles["old"])} aria-label={t`Dry run`} aria-busy={isOld}>
      <header className={styles["head"]}>
        <h3>
          <Trans>Dry run</Trans>
          <span className={styles["counts"]}>
            <Plural value={tasks} one="1 task" other={`${count} tasks`} />
            {queues > 0 && (
              <>
                {" · "}
                <Plural value={queues} one="# queue" other="# queues" />
              </>
            )}
          </span>
        </h3>
        <p className={cx(styles["where"], !found.work_dir.is_there && styles["lacks"])}>
          {said(found.work_dir.text)}
          {onWorkDir && (
            <Button variant="bare" size="small" onClick={onWorkDir}>
              <Trans>Change …</Trans>
            </Button>
          )}
        </p>
      </header>
      <div className={styles["tree"]}>
        {tree.map((queue) => (
          <Queue key={queue.queue ?? ""} queue={queue} mode={mode} marked={marked} onPick={onPick} onBind={onBind} />
        ))}
        {tree.length === 0 && (
          <p className={styles["left"]}>
            <Trans>No task could be read.</Trans>
          </p>
        )}
      </div>
      {children}
    </section>
  );
}
