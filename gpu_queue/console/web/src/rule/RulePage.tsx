import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useBlocker, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";

import { ApiError, isAccessError } from "../api/client";
import { Elapsed } from "../live/Elapsed";
import { useConsoleInfo } from "../shell/console";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { finishPlan, notDone } from "../tasks/plan/running";
import { Banner } from "../ui/Banner";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Empty } from "../ui/Empty";
import { useTitle } from "../ui/hooks";
import { Skeleton } from "../ui/Skeleton";
import { Tabs } from "../ui/Tabs";
import { toast } from "../ui/Toast";
import { ChangedDialog } from "./ChangedDialog";
import { FormTab } from "./FormTab";
import { policies, type Policy, type PolicyChecked } from "./requests";
import styles from "./rule.module.css";
import { SaveDialog } from "./SaveDialog";
import { SidePanels } from "./SidePanels";
import { TextTab } from "./TextTab";
import { useDraft, type Draft } from "./useDraft";

const route = getRouteApi("/ui/rule");
const LOOK_MS = 15_000;

/** Asks before the page is left with something that is not saved. */
function LeaveDialog({ isChanged }: { isChanged: boolean }) {
  const { t } = useLingui();
  const job = useJob();
  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => isChanged && (current.pathname !== next.pathname || ("job" in next.search && next.search.job !== job)),
    enableBeforeUnload: () => isChanged,
    withResolver: true,
  });
  if (blocker.status !== "blocked") return null;
  return (
    <Dialog
      title={t`Leave without saving?`}
      onClose={blocker.reset}
      footer={
        <>
          <Button isSafe onClick={blocker.reset}>
            <Trans>Stay</Trans>
          </Button>
          <Button variant="danger" onClick={blocker.proceed}>
            <Trans>Leave, drop the changes</Trans>
          </Button>
        </>
      }
    >
      <p>
        <Trans>What you changed in the policy is not saved.</Trans>
      </p>
    </Dialog>
  );
}

function useSaving(draft: Draft, onTheirs: (theirs: Policy) => void) {
  const { t } = useLingui();
  const job = useJob();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<PolicyChecked | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");

  const refresh = async (): Promise<Policy> => {
    const now = await policies.get(job);
    queries.setQueryData(["policy", job], now);
    return now;
  };
  const undo = async (plan: string): Promise<void> => {
    try {
      const outcome = await finishPlan(job, plan, "undo", () => undefined);
      const isDone = notDone(outcome) === 0 && !outcome.problem;
      toast(isDone ? { text: t`The policy is as it was` } : { text: t`Not undone: somebody has changed the policy since`, tone: "trouble" });
    } catch (error) {
      toast({ text: error instanceof Error ? error.message : String(error), tone: "trouble" });
    }
    await refresh().catch(() => undefined);
  };
  const save = async (force: boolean): Promise<void> => {
    if (!asked) return;
    setBusy(true);
    setProblem("");
    try {
      const saved = await policies.save(job, asked.text, draft.base.etag, force);
      queries.setQueryData(["policy", job], saved.policy);
      draft.restart(saved.policy);
      setAsked(null);
      toast({ text: t`The policy is saved`, action: { label: t`Undo`, run: () => void undo(saved.plan) } });
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) {
        setAsked(null);
        onTheirs(await refresh());
      } else {
        setProblem(error instanceof Error ? error.message : String(error));
      }
    } finally {
      setBusy(false);
    }
  };
  const open = async (): Promise<void> => {
    setProblem("");
    const checked = await draft.settle();
    if (checked) setAsked(checked);
  };
  return { asked, isBusy, problem, open, save, close: () => setAsked(null) };
}

function Loaded({ now }: { now: Policy }) {
  const { t } = useLingui();
  const { tab = "form" } = route.useSearch();
  const navigate = useNavigate();
  const info = useConsoleInfo();
  const draft = useDraft(now);
  const [line, setLine] = useState<number | null>(null);
  const [theirs, setTheirs] = useState<Policy | null>(null);
  const saving = useSaving(draft, setTheirs);
  const canChange = info.data !== undefined && !info.data.is_read_only && info.data.has_access;
  const isOther = now.etag !== draft.base.etag;

  // Somebody else wrote, and there is nothing in hand: what they wrote is shown.
  useEffect(() => {
    if (isOther && !draft.isChanged) draft.restart(now);
  }, [isOther, draft.isChanged, now]);

  const show = (next: "form" | "text"): void =>
    void navigate({ to: ".", search: (old) => ({ ...old, tab: next === "form" ? undefined : next }), replace: true, resetScroll: false });
  const toText = (at: number | null): void => {
    setLine(at);
    show("text");
  };
  const { base, checked } = draft;
  const count = checked?.changes.length ?? 0;
  const { by, source } = base;
  const goOn = (): void => {
    if (!theirs) return;
    const isByFields = draft.hand.text === base.text;
    draft.restart(theirs, isByFields ? { text: theirs.text, changes: draft.hand.changes } : draft.hand);
    setTheirs(null);
  };
  return (
    <>
      <header className={styles["head"]}>
        <div className={styles["heading"]}>
          <h1>
            <Trans>Policy</Trans>
          </h1>
          <p className={styles["second"]} title={source}>
            config.yaml
            {!base.exists && (
              <>
                {" · "}
                <Trans>there is none yet; all is at its default</Trans>
              </>
            )}
            {base.exists && base.modified_at_s != null && (
              <>
                {" · "}
                <Trans>
                  changed <Elapsed since_s={base.modified_at_s} /> ago by {by}
                </Trans>
              </>
            )}
            {!canChange && info.data !== undefined && (
              <>
                {" · "}
                <Trans>this console only reads</Trans>
              </>
            )}
          </p>
        </div>
        {canChange && (
          <div className={styles["buttons"]}>
            <Button disabled={!draft.isChanged} onClick={() => draft.restart(now)}>
              <Trans>Discard</Trans>
            </Button>
            <Button variant="primary" disabled={!draft.isChanged} onClick={() => void saving.open()}>
              {count > 0 && draft.isChanged ? <Plural value={count} one="Save # change …" other="Save # changes …" /> : <Trans>Save …</Trans>}
            </Button>
          </div>
        )}
      </header>
      {isOther && draft.isChanged && (
        <Banner>
          <Trans>config.yaml was changed meanwhile.</Trans>{" "}
          <Button size="small" onClick={() => setTheirs(now)}>
            <Trans>Show</Trans>
          </Button>
        </Banner>
      )}
      {draft.error instanceof Error && <Banner tone="trouble">{draft.error.message}</Banner>}
      {info.data?.has_access === false && info.data.needs_token && <TokenPanel />}
      <Tabs
        label={t`Policy`}
        tabs={[
          { id: "form", label: t`Form` },
          { id: "text", label: t`Text` },
        ]}
        current={tab}
        onChange={(next) => {
          setLine(null);
          show(next);
        }}
      />
      <div className={styles["columns"]}>
        <div className={styles["main"]}>
          {tab === "form" ? (
            <FormTab draft={draft} canChange={canChange} onText={toText} />
          ) : (
            <TextTab draft={draft} canChange={canChange} line={line} onSave={() => draft.isChanged && void saving.open()} />
          )}
        </div>
        <aside className={styles["side"]}>
          <SidePanels draft={draft} onText={toText} />
        </aside>
      </div>
      {saving.asked && (
        <SaveDialog base={base} checked={saving.asked} isBusy={saving.isBusy} problem={saving.problem} onKeep={saving.close} onSave={(force) => void saving.save(force)} />
      )}
      {theirs && (
        <ChangedDialog
          base={base}
          theirs={theirs}
          isByFields={draft.hand.text === base.text}
          onClose={() => setTheirs(null)}
          onTake={() => {
            draft.restart(theirs);
            setTheirs(null);
          }}
          onGoOn={goOn}
        />
      )}
      <LeaveDialog isChanged={draft.isChanged} />
    </>
  );
}

/** The policy of the queue: its config.yaml, as a form and as text. */
export function RulePage() {
  const { t } = useLingui();
  useTitle(t`Policy`);
  const job = useJob();
  const found = useQuery({
    queryKey: ["policy", job],
    queryFn: ({ signal }) => policies.get(job, signal),
    refetchInterval: LOOK_MS,
  });
  if (isAccessError(found.error)) return <TokenPanel />;
  if (found.data) return <Loaded now={found.data} />;
  if (found.error) return <Empty>{found.error.message}</Empty>;
  return <Skeleton rows={14} height_px={44} />;
}
