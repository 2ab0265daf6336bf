import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";

import { Elapsed } from "../live/Elapsed";
import { useJob } from "../shell/job";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { thousands } from "../ui/format";
import { StateShape } from "../ui/StateShape";
import styles from "./FileList.module.css";
import { keptText } from "./kept";
import { MODE_WORDS, MODES, useFileName, type Which } from "./names";
import type { JobfileEntry, JobfileList, Trashed } from "./requests";

function Loaded({ one }: { one: JobfileEntry }) {
  const { t } = useLingui();
  const { loaded } = one;
  if (!loaded) return <Trans>not loaded yet</Trans>;
  const counts = [
    { shape: "running", count: loaded.running, label: t`running` },
    { shape: "waiting", count: loaded.waiting, label: t`waiting` },
    { shape: "failed", count: loaded.failed, label: t`failed` },
    { shape: "done", count: loaded.done, label: t`done` },
  ] as const;
  return (
    <>
      {counts
        .filter((state) => state.count > 0)
        .map(({ shape, count, label }) => (
          <span key={shape} className={cx(styles["count"], shape === "failed" && styles["failed"])}>
            <StateShape shape={shape} label={label} size={10} /> {thousands(count)}
          </span>
        ))}
      {loaded.at_s != null && (
        <span>
          <Trans>
            loaded <Elapsed since_s={loaded.at_s} short /> ago
          </Trans>
        </span>
      )}
    </>
  );
}

function Row({ one, isUnsaved }: { one: JobfileEntry; isUnsaved: boolean }) {
  const name = useFileName();
  const { mode, index, file, tasks, problem_count: problems = 0 } = one;
  const number = mode === "yaml" ? null : Number(index) + 1;
  return (
    <li>
      <Link
        to="/ui/command/$mode/$index"
        params={{ mode, index: String(index) }}
        className={styles["row"]}
        activeOptions={{ includeSearch: false }}
        title={name({ mode, index }, one.name)}
      >
        <span className={styles["number"]}>{number ?? ""}</span>
        <span className={styles["file"]}>{file}</span>
        <span className={styles["tasks"]}>
          {problems > 0 ? (
            <span className={styles["failed"]}>
              <StateShape shape="failed" size={10} />{" "}
              <Plural value={problems} one="# problem" other="# problems" />
            </span>
          ) : (
            <Plural value={tasks} one="# task" other="# tasks" />
          )}
        </span>
        <span className={styles["state"]}>
          {isUnsaved && (
            <span className={styles["unsaved"]}>
              <Trans>not saved</Trans>
            </span>
          )}
          <Loaded one={one} />
        </span>
      </Link>
    </li>
  );
}

function Trash({ trash, onRestore }: { trash: readonly Trashed[]; onRestore: (one: Trashed) => void }) {
  const { t } = useLingui();
  if (trash.length === 0) return null;
  const count = trash.length;
  return (
    <details className={styles["trash"]}>
      <summary>
        <Trans>Deleted ({count})</Trans>
      </summary>
      <ul>
        {trash.map((one) => {
          const { file } = one;
          return (
            <li key={one.id} className={styles["thrown"]}>
              <span className={styles["file"]}>{file}</span>
              <span className={styles["when"]}>
                <Elapsed since_s={one.deleted_at_s} short />
              </span>
              <Button size="small" aria-label={t`Restore ${file}`} onClick={() => onRestore(one)}>
                <Trans>Restore</Trans>
              </Button>
            </li>
          );
        })}
      </ul>
    </details>
  );
}

export interface FileListProps {
  list: JobfileList;
  /** The one that is open, if its changes are not saved. */
  unsaved: Which | null;
  onRestore: ((one: Trashed) => void) | null;
}

/** All job files of the queue, by mode: what is in them, what is wrong with them, what became of what was loaded. */
export function FileList({ list, unsaved, onRestore }: FileListProps) {
  const { t, i18n } = useLingui();
  const job = useJob();
  const modes = MODES.map((mode) => ({ mode, entries: list.files.filter((one) => one.mode === mode) }));
  return (
    <nav aria-label={t`Job files`}>
      {modes
        .filter(({ entries }) => entries.length > 0)
        .map(({ mode, entries }) => (
          <section key={mode} className={styles["group"]}>
            <h2 className={styles["mode"]}>
              {mode} <span>{i18n._(MODE_WORDS[mode].about)}</span>
            </h2>
            <ul>
              {entries.map((one) => {
                const index = String(one.index);
                const isOpen = unsaved?.mode === mode && unsaved.index === index;
                return <Row key={index} one={one} isUnsaved={isOpen || keptText(job, { mode, index }) !== null} />;
              })}
            </ul>
          </section>
        ))}
      {list.left_out > 0 && (
        <p className={styles["more"]}>
          <Plural value={list.left_out} one="# more file is not shown." other="# more files are not shown." />
        </p>
      )}
      {onRestore && <Trash trash={list.trash} onRestore={onRestore} />}
    </nav>
  );
}
