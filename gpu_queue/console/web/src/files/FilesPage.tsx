import { Trans, useLingui } from "@lingui/react/macro";
import { IconPlus } from "@tabler/icons-react";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useState } from "react";

import { ApiError, isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import { useConsoleInfo } from "../shell/console";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { useTrouble } from "../tasks/plan/PlanHost";
import { cx } from "../ui/cx";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { useMedia, useTitle } from "../ui/hooks";
import { Menu } from "../ui/Menu";
import { Skeleton } from "../ui/Skeleton";
import { Tabs } from "../ui/Tabs";
import { AgentNote } from "./AgentNote";
import { FieldDialog } from "./FieldDialog";
import { FileEditor } from "./FileEditor";
import { FileList } from "./FileList";
import styles from "./FilesPage.module.css";
import { MODE_WORDS, MODES, modeOf, useFileName, type Mode, type Which } from "./names";
import { files, type JobfileList, type Trashed } from "./requests";
import { PARTS, type Part } from "./search";
import { useFile, useFileList, useRefresh } from "./useFiles";

/** A column below 1100 px. */
function useIsOneColumn(): boolean {
  return useMedia("(max-width: 1099px)");
}

/** Makes files and takes them back. */
function useMaking() {
  const job = useJob();
  const navigate = useNavigate();
  const refresh = useRefresh();
  const trouble = useTrouble();
  const open = (mode: Mode, index: string | number): void => {
    refresh.list();
    void navigate({ to: "/ui/command/$mode/$index", params: { mode, index: String(index) }, search: (old) => ({ ...old, tab: undefined }) });
  };
  return {
    make: async (mode: Mode, name?: string): Promise<void> => {
      const made = await files.make(job, { mode, ...(name === undefined ? {} : { name }) });
      open(made.mode, made.index);
    },
    restore: (one: Trashed): void => {
      const which = { mode: one.mode, index: String(one.index) };
      files.restore(job, which, one.id).then((made) => {
        refresh.file(which);
        open(made.mode, made.index);
      }, trouble);
    },
    trouble,
  };
}

function NewMenu() {
  const { t, i18n } = useLingui();
  const { make, trouble } = useMaking();
  const [isNaming, setNaming] = useState(false);
  return (
    <>
      <Menu
        button={
          <>
            <IconPlus size={14} /> <Trans>New</Trans>
          </>
        }
        hint={t`A new job file`}
        align="end"
        items={MODES.map((mode) => ({
          id: mode,
          label: i18n._(MODE_WORDS[mode].make),
          run: () => (mode === "yaml" ? setNaming(true) : void make(mode).catch(trouble)),
        }))}
      />
      {isNaming && (
        <FieldDialog
          title={t`A new experiment file`}
          label={<Trans>Name, without .yaml</Trans>}
          value=""
          placeholder="sweep"
          go={t`Make it`}
          onClose={() => setNaming(false)}
          onGo={async (name) => {
            await make("yaml", name.replace(/\.ya?ml$/i, ""));
            setNaming(false);
          }}
        />
      )}
    </>
  );
}

interface OpenFileProps {
  which: Which;
  list: JobfileList;
  turn: number;
  isReadOnly: boolean;
  part: Part;
  onPart: (part: Part) => void;
  onUnsaved: (isUnsaved: boolean) => void;
}

function OpenFile({ which, list, turn, isReadOnly, part, onPart, onUnsaved }: OpenFileProps) {
  const found = useFile(which);
  const refresh = useRefresh();
  const { restore } = useMaking();
  const entry = list.files.find((one) => one.mode === which.mode && String(one.index) === which.index);
  const [looked, setLooked] = useState(entry?.modified_at);
  if (entry?.modified_at !== looked) {
    setLooked(entry?.modified_at);
    if (found.data && entry && entry.modified_at !== found.data.modified_at) queueMicrotask(() => refresh.file(which));
  }
  if (isAccessError(found.error)) return <TokenPanel />;
  if (found.error && !found.data) {
    const isGone = found.error instanceof ApiError && found.error.status === 404;
    const thrown = list.trash?.find((one) => one.mode === which.mode && String(one.index) === which.index);
    return (
      <Empty>
        {isGone ? <Trans>There is no such job file.</Trans> : errorWords(found.error)}{" "}
        {isGone && thrown && !isReadOnly && (
          <Button size="small" onClick={() => restore(thrown)}>
            <Trans>Restore it</Trans>
          </Button>
        )}
      </Empty>
    );
  }
  if (!found.data) return <Skeleton rows={14} height_px={26} />;
  // What became of its tasks is told by the list, which is looked at more often.
  const file = { ...found.data, loaded: entry?.loaded ?? found.data.loaded };
  return (
    <FileEditor
      key={`${which.mode}/${which.index}`}
      which={which}
      file={file}
      isReadOnly={isReadOnly}
      part={part}
      onPart={onPart}
      turn={turn}
      onUnsaved={onUnsaved}
    />
  );
}

function NothingOpen({ list }: { list: JobfileList }) {
  const { directory } = list;
  return (
    <div className={styles["intro"]}>
      <Empty>
        {list.files.length > 0 ? (
          <Trans>Choose a file. What a load of it would do stands beside its text, before anything is queued.</Trans>
        ) : (
          <Trans>No job file yet. One holds many tasks: commands in queues, or experiments with a matrix. New makes one with a commented example.</Trans>
        )}
        <br />
        <span className={styles["hint"]}>
          <Trans>They lie in {directory}.</Trans>
        </span>
      </Empty>
    </div>
  );
}

/** The files of which tasks are made: command files and experiment files, edited beside what a load would do. */
export function FilesPage() {
  const { t } = useLingui();
  const params = useParams({ strict: false });
  const { tab } = useSearch({ strict: false });
  const navigate = useNavigate();
  const isOneColumn = useIsOneColumn();
  const found = useFileList();
  const info = useConsoleInfo();
  const isReadOnly = info.data?.is_read_only ?? false;
  const { restore } = useMaking();
  const [isUnsaved, setUnsaved] = useState(false);
  const mode = modeOf(params.mode ?? "");
  const which = mode !== undefined && params.index !== undefined ? { mode, index: params.index } : null;
  const nameOf = useFileName();
  useTitle(which === null ? t`Job files` : `${nameOf(which)} · ${which.mode}`);
  const part: Part = which === null ? "list" : (PARTS.find((one) => one === tab) ?? "edit");
  const onPart = useCallback(
    (next: Part): void =>
      void navigate({ to: ".", search: (old) => ({ ...old, tab: next === "edit" ? undefined : next }), replace: true, resetScroll: false }),
    [navigate],
  );
  if (isAccessError(found.error)) return <TokenPanel />;
  const list = found.data;
  return (
    <div className={styles["page"]}>
      {isOneColumn && part !== "list" && (
        <h1 className="sr-only">
          <Trans>Job files</Trans>
        </h1>
      )}
      {isOneColumn && which !== null && (
        <div className={styles["tabs"]}>
          <Tabs
            label={t`Parts`}
            tabs={[
              { id: "list", label: t`List` },
              { id: "edit", label: t`Edit` },
              { id: "run", label: t`Dry run` },
            ]}
            current={part}
            onChange={onPart}
          />
        </div>
      )}
      <div className={cx(styles["listPane"], isOneColumn && part !== "list" && styles["aside"])}>
        <header className={styles["listHead"]}>
          <h1>
            <Trans>Job files</Trans>
          </h1>
          {!isReadOnly && <NewMenu />}
        </header>
        <div className={styles["list"]}>
          {list && <FileList list={list} unsaved={isUnsaved ? which : null} onRestore={isReadOnly ? null : restore} />}
          {!list && !found.error && <Skeleton rows={5} height_px={44} />}
          {found.error && !list && <Empty>{errorWords(found.error)}</Empty>}
        </div>
        {list && <AgentNote list={list} />}
      </div>
      <div className={cx(styles["main"], isOneColumn && part === "list" && styles["aside"])}>
        {list &&
          (which === null ? (
            <NothingOpen list={list} />
          ) : (
            <OpenFile
              which={which}
              list={list}
              turn={found.dataUpdatedAt}
              isReadOnly={isReadOnly}
              part={part}
              onPart={isOneColumn ? onPart : noPart}
              onUnsaved={setUnsaved}
            />
          ))}
      </div>
    </div>
  );
}

function noPart(): void {
  // Where all parts are in sight there is none to change to.
}
