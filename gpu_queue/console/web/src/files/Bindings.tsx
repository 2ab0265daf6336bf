import { Trans, useLingui } from "@lingui/react/macro";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { useJob } from "../shell/job";
import { fileSize } from "../ui/format";
import { StateShape } from "../ui/StateShape";
import styles from "./Bindings.module.css";
import type { Which } from "./names";
import { files, type Binding } from "./requests";

const SHOWN = 100;

function Row({ one, task }: { one: Binding; task: string | null }) {
  const { t } = useLingui();
  const { path, queue, position } = one;
  const place = (position ?? 0) + 1;
  return (
    <li className={styles["row"]}>
      {one.exists ? <StateShape shape="done" label={t`the file is there`} size={10} /> : <StateShape shape="failed" label={t`the file is not read`} size={10} />}
      <span className={styles["path"]} title={path}>
        {task === null ? (
          path
        ) : (
          <Link to="/ui/state/$id" params={{ id: task }} search={{ tab: "log", source: "bound" }}>
            {path}
          </Link>
        )}
      </span>
      <span className={styles["facts"]}>
        {queue == null ? t`task ${place} of the file` : t`queue ${queue}, task ${place} of the file`}
        {one.exists && <> · {fileSize(one.size)}</>}
      </span>
      {one.problem && <span className={styles["problem"]}>{one.problem}</span>}
    </li>
  );
}

/** Files that are bound to tasks of this file: whether they are there, and the log viewer of the task that was loaded last. */
export function Bindings({ which, turn }: { which: Which; turn: number }) {
  const job = useJob();
  const found = useQuery({ queryKey: ["bindings", job, turn], queryFn: ({ signal }) => files.bindings(job, signal), placeholderData: (old) => old });
  const all = found.data ?? [];
  const here = all.filter((one) => one.mode === which.mode && String(one.config_index) === which.index);
  if (here.length === 0) return null;
  const taskOf = (path: string): string | null =>
    all
      .filter((one) => one.id !== "" && one.path === path)
      .map((one) => one.id)
      .sort()
      .at(-1) ?? null;
  return (
    <details className={styles["bindings"]} open>
      <summary>
        <Trans>Bound logs</Trans>
      </summary>
      <ul>
        {here.slice(0, SHOWN).map((one) => (
          <Row key={`${one.queue ?? ""} ${one.position ?? ""}`} one={one} task={taskOf(one.path)} />
        ))}
      </ul>
    </details>
  );
}
