import { plural } from "@lingui/core/macro";
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate, useRouter } from "@tanstack/react-router";
import { useMemo, useRef, useState, type DragEvent } from "react";

import { isAccessError } from "../api/client";
import { errorWords, listed, said } from "../api/said";
import type { Plan, PlanOutcome } from "../api/types";
import { useConsoleInfo } from "../shell/console";
import { TokenPanel } from "../shell/TokenPanel";
import type { TaskSearch } from "../task/search";
import type { TasksSearch } from "../tasks/search";
import { useTrouble, useUndo } from "../tasks/plan/PlanHost";
import { finishPlan, makePlan, notDone } from "../tasks/plan/running";
import { useJob } from "../shell/job";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { Drawer } from "../ui/Drawer";
import { thousands } from "../ui/format";
import { toast } from "../ui/Toast";
import { FieldsForm } from "./FieldsForm";
import { takeGiven } from "./given";
import { Needs } from "./Needs";
import { isPriority, NO_FIELDS, optionsOf, type Fields } from "./options";
import { readFiles, typed, type Handed, type Refused } from "./scripts";
import { ScriptList } from "./ScriptList";
import { Sentence } from "./Sentence";
import styles from "./submit.module.css";
import { useRead } from "./useRead";
import { whyNot } from "../tasks/plan/whyNot";

type Place = { to: "/ui/state"; search: TasksSearch } | { to: "/ui/state/$id"; params: { id: string }; search: TaskSearch };

const UNDO_S = 15;
const NAME = "script.sh";

function Refusals({ refused }: { refused: readonly Refused[] }) {
  const { t } = useLingui();
  const words: Record<Refused["why"], string> = {
    too_many: t`100 files at most`,
    too_large: t`more than 16 MiB`,
    all_too_large: t`more than 64 MiB together`,
    unreadable: t`it cannot be read: a folder?`,
  };
  if (refused.length === 0) return null;
  const rest = refused.length - 5;
  return (
    <div role="alert" className={styles["problem"]}>
      {refused.slice(0, 5).map((one, at) => (
        <p key={at}>
          <Trans>
            {one.name}: {words[one.why]}
          </Trans>
        </p>
      ))}
      {rest > 0 && (
        <p>
          <Trans>and {rest} more</Trans>
        </p>
      )}
    </div>
  );
}

/** Where what was submitted is seen: the task, or the list of those of its name, the newest first. */
function placeOf(plan: Plan, outcome: PlanOutcome): Place {
  const [only, ...others] = outcome.submitted ?? [];
  if (only !== undefined && others.length === 0) return { to: "/ui/state/$id", params: { id: only }, search: {} };
  const [script, ...more] = plan.scripts ?? [];
  const name = (script?.needs.find((need) => need.name === "name")?.value ?? script?.name ?? "").replace(/\.py$/, "");
  const isPlain = more.length === 0 && /^[\w.+-]+$/.test(name);
  return { to: "/ui/state", search: { sort: "newest", ...(isPlain ? { q: name } : {}) } };
}

/** Submits, and says what came of it with a way back. */
function useSubmit(onClose: () => void): { isBusy: boolean; problem: string; submit: (scripts: readonly Handed[], fields: Fields) => void } {
  const { t } = useLingui();
  const job = useJob();
  const navigate = useNavigate();
  const router = useRouter();
  const trouble = useTrouble();
  const undo = useUndo();
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");

  const send = async (handed: readonly Handed[], fields: Fields): Promise<void> => {
    const plan = await makePlan(job, { action: "submit", scripts: handed.map((one) => one.script), options: optionsOf(fields) });
    if (!plan.can_run) {
      const bad = (plan.scripts ?? []).flatMap((one) => (one.problem ? [{ name: one.name, why: said(one.problem.text) }] : []));
      setProblem(listed(bad.map(({ name, why }) => t`${name}: ${why}`)) || t`Nothing would happen.`);
      return;
    }
    const outcome = await finishPlan(job, plan.id, "run", () => undefined);
    const done = outcome.submitted?.length ?? 0;
    const count = outcome.counts["done"] ?? done;
    const name = handed[0]?.script.name ?? "";
    const number = thousands(count);
    const text = count === 1 ? t`${name} was submitted` : plural(count, { one: "1 task was submitted", other: `${number} tasks were submitted` });
    if (notDone(outcome) > 0 || outcome.problem) {
      setProblem(whyNot(outcome));
      if (count === 0) return;
    }
    const where = placeOf(plan, outcome);
    const link = {
      label: where.to === "/ui/state" ? t`Show them` : t`Show the task`,
      href: router.buildLocation(where).href,
      go: () => void navigate(where),
    };
    toast({ text, for_s: UNDO_S, link, ...(outcome.undo_until_s != null ? { action: { label: t`Undo`, run: () => undo(plan) } } : {}) });
    if (notDone(outcome) === 0) onClose();
  };

  return {
    isBusy,
    problem,
    submit: (handed, fields) => {
      setBusy(true);
      setProblem("");
      send(handed, fields)
        .catch((error: unknown) => {
          if (isAccessError(error)) trouble(error);
          else setProblem(errorWords(error));
        })
        .finally(() => setBusy(false));
    },
  };
}

/** Queues scripts: pasted, typed, dropped or chosen. */
export function SubmitDrawer({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const info = useConsoleInfo();
  const [given] = useState(takeGiven);
  const [text, setText] = useState(given?.text ?? "");
  const [name, setName] = useState(given?.name ?? NAME);
  const [files, setFiles] = useState<readonly Handed[]>([]);
  const [refused, setRefused] = useState<readonly Refused[]>([]);
  const [fields, setFields] = useState(NO_FIELDS);
  const [isOver, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const handed = useMemo(() => (files.length > 0 ? files : text.trim() ? [typed(name.trim() || NAME, text)] : []), [files, text, name]);
  const scripts = useMemo(() => handed.map((one) => one.script), [handed]);
  const options = optionsOf(fields);
  const { found, isOld, error } = useRead(scripts, options);
  const { isBusy, problem, submit } = useSubmit(onClose);

  const take = async (list: readonly File[]): Promise<void> => {
    const got = await readFiles(list, files);
    setFiles((old) => [...old, ...got.taken]);
    setRefused(got.refused);
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    void take([...event.dataTransfer.files]);
  };
  const over = (event: DragEvent): void => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    setOver(true);
  };
  const isSound = handed.length > 0 && !found.some((one) => one.problem) && isPriority(fields.priority);
  const needsToken = isAccessError(error) || (info.data?.has_access === false && info.data.needs_token);

  return (
    <Drawer
      title={handed.length > 1 ? t`Submit ${handed.length} scripts` : t`Submit a script`}
      onClose={onClose}
      footer={
        <>
          <p className={cx(styles["sentence"], isOld && styles["old"])} role="status">
            {problem ? <span className={styles["problem"]}>{problem}</span> : <Sentence found={found} priority={options.priority ?? null} />}
          </p>
          <Button variant="primary" disabled={!isSound || isBusy} onClick={() => submit(handed, fields)}>
            <Trans>Submit</Trans>
          </Button>
        </>
      }
    >
      {needsToken && <TokenPanel />}
      <div
        className={cx(styles["drop"], isOver && styles["over"])}
        onDragOver={over}
        onDragLeave={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget instanceof Node ? event.relatedTarget : null)) setOver(false);
        }}
        onDrop={drop}
      >
        {files.length === 0 ? (
          <>
            <label htmlFor="submit-text" className="sr-only">
              <Trans>Script</Trans>
            </label>
            <textarea
              id="submit-text"
              data-focus
              className={styles["text"]}
              rows={12}
              spellCheck={false}
              autoComplete="off"
              autoCapitalize="off"
              placeholder={t`Paste a script, or drop files here`}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
            {found[0] && text.trim() !== "" && (
              <div className={cx(isOld && styles["old"])}>
                <Needs found={found[0]} />
              </div>
            )}
          </>
        ) : (
          <ScriptList handed={files} found={isOld ? [] : found} onRemove={(id) => setFiles(files.filter((one) => one.id !== id))} />
        )}
      </div>
      <div className={styles["tools"]}>
        {files.length === 0 && (
          <div className={styles["nameField"]}>
            <label htmlFor="submit-name">
              <Trans>name</Trans>
            </label>
            <input id="submit-name" value={name} maxLength={255} spellCheck={false} autoComplete="off" onChange={(event) => setName(event.target.value)} />
          </div>
        )}
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label={t`Files`}
          onChange={(event) => {
            void take([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <Button onClick={() => chooser.current?.click()}>{files.length > 0 ? <Trans>Add files …</Trans> : <Trans>Choose files …</Trans>}</Button>
        {files.length > 0 && (
          <Button variant="bare" onClick={() => setFiles([])}>
            <Trans>Remove all</Trans>
          </Button>
        )}
      </div>
      <Refusals refused={refused} />
      {error !== null && !isAccessError(error) && (
        <p role="alert" className={styles["problem"]}>
          {errorWords(error)}
        </p>
      )}
      <FieldsForm fields={fields} onChange={(change) => setFields({ ...fields, ...change })} />
    </Drawer>
  );
}
