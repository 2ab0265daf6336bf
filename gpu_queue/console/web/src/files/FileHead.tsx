import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { IconDots } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";

import { Elapsed } from "../live/Elapsed";
import { Button } from "../ui/Button";
import { Chip } from "../ui/Chip";
import { thousands } from "../ui/format";
import { Menu, type MenuItem } from "../ui/Menu";
import styles from "./FilesPage.module.css";
import { useFileName, type Which } from "./names";
import type { Jobfile } from "./requests";

export interface FileHeadProps {
  which: Which;
  file: Jobfile;
  isDirty: boolean;
  isBusy: boolean;
  tasks: number;
  problems: number;
  isReadOnly: boolean;
  items: readonly MenuItem[];
  onSave: () => void;
  onLoad: () => void;
  onStop: (() => void) | null;
}

/** Which file it is, who changed it when, and what can be done with it. */
export function FileHead({ which, file, isDirty, isBusy, tasks, problems, isReadOnly, items, onSave, onLoad, onStop }: FileHeadProps) {
  const { t } = useLingui();
  const name = useFileName();
  const { file: shown, modified_by: by } = file;
  const left = (file.loaded?.waiting ?? 0) + (file.loaded?.running ?? 0);
  const number = thousands(tasks);
  const canLoad = problems === 0 && tasks > 0 && !isBusy;
  return (
    <header className={styles["head"]}>
      <div className={styles["title"]}>
        <h2>
          {name(which, file.name)} <Chip>{which.mode}</Chip>{" "}
          {isDirty && (
            <Chip tone="notice">
              <Trans>not saved</Trans>
            </Chip>
          )}
        </h2>
        <p>
          {by ? (
            <Trans>
              {shown}, changed <Elapsed since_s={file.modified_at} short /> ago by {by}
            </Trans>
          ) : (
            <Trans>
              {shown}, changed <Elapsed since_s={file.modified_at} short /> ago
            </Trans>
          )}
          {file.batch != null && (
            <>
              {" · "}
              <Link to="/ui/batch/$key" params={{ key: file.batch }} className={styles["runs"]}>
                <Trans>what became of its tasks</Trans>
              </Link>
            </>
          )}
        </p>
      </div>
      {!isReadOnly && (
        <div className={styles["actions"]}>
          <Menu button={<IconDots size={16} />} label={t`More actions`} items={items} align="end" />
          {onStop && (
            <Button variant="danger" onClick={onStop}>
              <Plural value={left} one="Stop # task …" other="Stop # tasks …" />
            </Button>
          )}
          <Button variant={isDirty ? "primary" : "plain"} disabled={!isDirty || isBusy} title="Ctrl S" onClick={onSave}>
            {problems > 0 && isDirty ? <Trans>Save as a draft</Trans> : <Trans>Save</Trans>}
          </Button>
          <Button variant={isDirty ? "plain" : "primary"} disabled={!canLoad} title={problems > 0 ? t`There are problems` : undefined} onClick={onLoad}>
            {isDirty ? (
              <Plural value={tasks} one="Save, load 1 task …" other={`Save, load ${number} tasks …`} />
            ) : (
              <Plural value={tasks} one="Load 1 task …" other={`Load ${number} tasks …`} />
            )}
          </Button>
        </div>
      )}
    </header>
  );
}
