import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useId, useMemo, useRef, useState } from "react";

import { ApiError } from "../api/client";
import { errorWords } from "../api/said";
import { Editor } from "../editor/Editor";
import type { EditorHandle, EditorProblem, LineRange } from "../editor/types";
import { Elapsed } from "../live/Elapsed";
import { useJob } from "../shell/job";
import { useTrouble } from "../tasks/plan/PlanHost";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { useShortcut } from "../ui/keys";
import { toast } from "../ui/Toast";
import { Bindings } from "./Bindings";
import { BindDialog } from "./BindDialog";
import { ConflictDialog } from "./ConflictDialog";
import { DeleteDialog } from "./DeleteDialog";
import { DryRun } from "./DryRun";
import { FieldDialog } from "./FieldDialog";
import { FileHead } from "./FileHead";
import styles from "./FilesPage.module.css";
import { keepText } from "./kept";
import { LoadDialog } from "./LoadDialog";
import { LANGUAGE, type Which } from "./names";
import { Problems } from "./Problems";
import { files, type Jobfile, type TreeTask } from "./requests";
import type { Part } from "./search";
import { useCheck } from "./useCheck";
import { useEditing } from "./useEditing";
import { useRefresh } from "./useFiles";
import { useLoads } from "./useLoads";

const UNDO_S = 15;

type Open =
  | { is: "conflict"; theirs: Jobfile }
  | { is: "delete" }
  | { is: "copy" }
  | { is: "work_dir" }
  | { is: "load" }
  | { is: "bind"; task: TreeTask; queue: string | null };

export interface FileEditorProps {
  which: Which;
  file: Jobfile;
  isReadOnly: boolean;
  part: Part;
  onPart: (part: Part) => void;
  /** The list was looked at anew. */
  turn: number;
  onUnsaved: (isUnsaved: boolean) => void;
}

/** One job file: its text beside what a load of it would do. */
export function FileEditor({ which, file, isReadOnly, part, onPart, turn, onUnsaved }: FileEditorProps) {
  const { t } = useLingui();
  const job = useJob();
  const navigate = useNavigate();
  const trouble = useTrouble();
  const refresh = useRefresh();
  const editing = useEditing(file, which);
  const { text, base, isDirty } = editing;
  const check = useCheck(file, which, text, turn);
  const { problems, tasks } = check.found;
  const [line, setLine] = useState(1);
  const [marked, setMarked] = useState<LineRange | null>(null);
  const [open, setOpen] = useState<Open | null>(null);
  const [isBusy, setBusy] = useState(false);
  const editor = useRef<EditorHandle>(null);
  const problemsId = useId();
  const close = (): void => setOpen(null);
  const isFixed = isReadOnly || !file.is_text;
  const isElsewhere = base.etag !== file.etag;
  const loads = useLoads(which, () => {
    refresh.list();
    refresh.file(which);
  });

  useEffect(() => onUnsaved(isDirty), [isDirty, onUnsaved]);
  useEffect(() => {
    // Somebody else has saved it, and nothing was changed here: their text is shown.
    if (isElsewhere && !isDirty && !isBusy) editing.take({ text: file.text, etag: file.etag });
  });

  const showConflict = async (): Promise<void> => setOpen({ is: "conflict", theirs: await files.read(job, which) });
  /** Whether it was saved. */
  const save = async (etag: string | null = base.etag): Promise<boolean> => {
    if (!isDirty || isFixed || isBusy) return !isDirty;
    setBusy(true);
    const before = base.text;
    const mine = text;
    try {
      const saved = await files.save(job, which, { text: mine, etag, draft: true });
      editing.rebase({ text: mine, etag: saved.etag });
      refresh.saved(which, { text: mine, etag: saved.etag, modified_at: saved.modified_at ?? null });
      refresh.file(which);
      const undo = (): void => {
        files
          .save(job, which, { text: before, etag: saved.etag, draft: true })
          .then((old) => {
            editing.take({ text: before, etag: old.etag });
            refresh.saved(which, { text: before, etag: old.etag });
            refresh.file(which);
            toast({ text: t`The text before was saved` });
          })
          .catch((error: unknown) => (error instanceof ApiError && error.status === 412 ? showConflict() : Promise.reject(error)))
          .catch(trouble);
      };
      toast({ text: problems.length > 0 ? t`Saved as a draft` : t`Saved`, for_s: UNDO_S, action: { label: t`Undo`, run: undo } });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) await showConflict().catch(trouble);
      else trouble(error);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const load = async (): Promise<void> => {
    if (await save()) setOpen({ is: "load" });
  };
  const remove = async (): Promise<void> => {
    close();
    try {
      const gone = await files.remove(job, which);
      keepText(job, which, null);
      editing.take(base);
      refresh.list();
      const name = file.file;
      const undo = (): void => {
        files.restore(job, which, gone.trash).then(() => {
          refresh.list();
          refresh.file(which);
          void navigate({ to: "/ui/command/$mode/$index", params: { ...which } });
        }, trouble);
      };
      toast({ text: t`${name} was deleted`, for_s: UNDO_S, action: { label: t`Undo`, run: undo } });
      void navigate({ to: "/ui/command" });
    } catch (error) {
      trouble(error);
    }
  };
  const copy = async (name?: string): Promise<void> => {
    const made = await files.make(job, { mode: which.mode, text, ...(name === undefined ? {} : { name }) });
    refresh.list();
    close();
    void navigate({ to: "/ui/command/$mode/$index", params: { mode: made.mode, index: String(made.index) } });
  };

  useShortcut("mod+s", t`Save the file`, () => void save(), { isOn: !isFixed });

  const goTo = useCallback(
    (to: number): void => {
      onPart("edit");
      setMarked(null);
      // The editor may have to be shown first.
      requestAnimationFrame(() => editor.current?.goTo(to));
    },
    [onPart],
  );
  const show = (lines: LineRange): void => {
    setMarked(lines);
    setLine(lines.from);
    onPart("edit");
    requestAnimationFrame(() => editor.current?.reveal(lines.from));
  };
  const marks = useMemo<EditorProblem[]>(() => problems.map((one) => ({ line: one.line, text: one.text })), [problems]);
  const where = check.found.work_dir;
  const { mode } = which;

  return (
    <div className={styles["file"]}>
      <FileHead
        which={which}
        file={file}
        isDirty={isDirty}
        isBusy={isBusy}
        tasks={tasks}
        problems={problems.length}
        isReadOnly={isFixed}
        onSave={() => void save()}
        onLoad={() => void load()}
        onStop={loads.canStop(file) ? loads.stop : null}
        items={[
          { id: "copy", label: t`Copy`, run: () => (mode === "yaml" ? setOpen({ is: "copy" }) : void copy().catch(trouble)) },
          { id: "delete", label: t`Delete …`, isDanger: true, run: () => setOpen({ is: "delete" }) },
        ]}
      />
      <div role="status" className={styles["notices"]}>
        {editing.keptAt_ms !== null && isDirty && (
          <p className={styles["notice"]}>
            <Trans>
              You left changes here <Elapsed since_s={editing.keptAt_ms / 1000} short /> ago; they were kept in this browser and are not saved. Go on with
              them?
            </Trans>{" "}
            <Button size="small" onClick={() => editing.rebase(base)}>
              <Trans>Go on</Trans>
            </Button>{" "}
            <Button size="small" onClick={() => editing.take({ text: file.text, etag: file.etag })}>
              <Trans>Throw them away</Trans>
            </Button>
          </p>
        )}
        {isElsewhere && isDirty && (
          <p className={styles["notice"]}>
            <Trans>Somebody has saved another text meanwhile.</Trans>{" "}
            <Button size="small" onClick={() => void showConflict().catch(trouble)}>
              <Trans>What changed …</Trans>
            </Button>
          </p>
        )}
        {!file.is_text && (
          <p className={styles["notice"]}>
            <Trans>It holds bytes that are no UTF-8: it can be looked at, and not be changed here.</Trans>
          </p>
        )}
        {check.error !== null && (
          <p className={styles["problem"]}>{errorWords(check.error)}</p>
        )}
      </div>
      <div className={styles["panes"]}>
        <section className={cx(styles["pane"], part !== "edit" && styles["aside"])} aria-label={t`Text`}>
          <div className={styles["editor"]}>
            <Editor
              ref={editor}
              value={text}
              onChange={(next) => {
                setMarked(null);
                editing.change(next);
              }}
              language={LANGUAGE[mode]}
              label={t`Text of ${file.file}`}
              problems={marks}
              readOnly={isFixed}
              onSave={() => void save()}
              marked={marked}
              onLine={(now) => {
                setMarked(null);
                setLine(now);
              }}
              describedBy={problemsId}
            />
          </div>
          <Problems id={problemsId} problems={problems} onGo={goTo} />
        </section>
        <section className={cx(styles["pane"], part !== "run" && styles["aside"])}>
          <DryRun
            check={check}
            mode={mode}
            line={line}
            onLines={show}
            onBind={isFixed || isDirty ? null : (task) => setOpen({ is: "bind", task, queue: queueOf(check.found.tree, task) })}
            onWorkDir={isFixed ? null : () => setOpen({ is: "work_dir" })}
          >
            <Bindings which={which} turn={turn} />
          </DryRun>
        </section>
      </div>

      {open?.is === "conflict" && (
        <ConflictDialog
          base={base.text}
          mine={text}
          theirs={open.theirs}
          onClose={close}
          onMine={() => {
            close();
            void save(open.theirs.etag);
          }}
          onTheirs={() => {
            close();
            editing.take({ text: open.theirs.text, etag: open.theirs.etag });
            refresh.file(which);
          }}
        />
      )}
      {open?.is === "delete" && <DeleteDialog file={file} isUnsaved={isDirty} onKeep={close} onGo={() => void remove()} />}
      {open?.is === "copy" && (
        <FieldDialog
          title={t`Copy ${file.file}`}
          label={<Trans>Name, without .yaml</Trans>}
          value={`${file.name}-2`}
          go={t`Copy it`}
          onClose={close}
          onGo={copy}
        />
      )}
      {open?.is === "work_dir" && (
        <FieldDialog
          title={t`Where commands of ${file.file} run`}
          label={<Trans>Folder</Trans>}
          value={where.source === "file" ? where.path : ""}
          placeholder={where.path}
          hint={<Trans>A path from the root, or one that begins with ~/. Empty: as the queue's config.yaml says, else the home directory.</Trans>}
          go={t`Keep it`}
          canBeEmpty
          onClose={close}
          onGo={async (work_dir) => {
            const saved = await files.save(job, which, { text: base.text, etag: base.etag, draft: true, work_dir });
            editing.rebase({ text: base.text, etag: saved.etag });
            refresh.file(which);
            refresh.list();
            close();
          }}
        />
      )}
      {open?.is === "load" && (
        <LoadDialog
          which={which}
          onClose={close}
          onGo={(plan) => {
            close();
            loads.run(plan);
          }}
        />
      )}
      {open?.is === "bind" && (
        <BindDialog
          which={which}
          queue={open.queue}
          task={open.task}
          onClose={close}
          onBound={() => {
            close();
            refresh.file(which);
            refresh.list();
          }}
        />
      )}
    </div>
  );
}

function queueOf(tree: readonly { queue: string | null; tasks: readonly TreeTask[] }[], task: TreeTask): string | null {
  return tree.find((queue) => queue.tasks.includes(task))?.queue ?? null;
}
