import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useRef } from "react";

import { spool } from "../api/base";
import { client, isAccessError } from "../api/client";
import { errorWords, listed, said } from "../api/said";
import type { TaskDetail, Wire } from "../api/types";
import { PartOf } from "../batch/PartOf";
import { useLiving } from "../live/hooks";
import { useIsReadOnly } from "../shell/console";
import { useJob } from "../shell/job";
import { TokenPanel } from "../shell/TokenPanel";
import { giveScript } from "../submit/given";
import { usePlan } from "../tasks/plan/usePlan";
import { Banner } from "../ui/Banner";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { fileSize, visible } from "../ui/format";
import { useTitle } from "../ui/hooks";
import { useShortcut } from "../ui/keys";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import { StateShape } from "../ui/StateShape";
import { Tabs } from "../ui/Tabs";
import { toast } from "../ui/Toast";
import { GpusTab } from "./GpusTab";
import { LogView } from "./log/LogView";
import { ScriptTab } from "./ScriptTab";
import type { TABS } from "./search";
import { Sentence } from "./Sentence";
import { shapeOf } from "./shape";
import styles from "./TaskPage.module.css";
import { TriesTab } from "./TriesTab";
import { TryMenu } from "./TryMenu";
import { WhyTab } from "./WhyTab";

const route = getRouteApi("/ui/state/$id");

type TabId = (typeof TABS)[number];

const SETTLING_MAX = 60;

/** It has ended, and what came of its last try is being written. */
function isSettling({ row, tries }: TaskDetail): boolean {
  return (row.state === "done" || row.state === "failed") && row.ended_at_s == null && tries.length > 0;
}

/** One task in full, asked for again whenever something that may be it has changed. */
function useTask(job: string, key: string) {
  const versions = useLiving("versions");
  const version = versions ? `${versions.waiting}.${versions.running}.${versions.done}.${versions.failed}` : "";
  return useQuery({
    queryKey: ["task", job, key, version],
    queryFn: ({ signal }) => client.get<TaskDetail>(spool(job, "tasks", key), { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => (state.data && isSettling(state.data) && state.dataUpdateCount < SETTLING_MAX ? 1000 : 15_000),
  });
}

function Actions({ job, detail }: { job: string; detail: TaskDetail }) {
  const { t } = useLingui();
  const plan = usePlan();
  const navigate = useNavigate();
  const { row } = detail;
  const stop = (): void => void plan({ action: row.state === "running" ? "stop" : "cancel", tasks: [row.key] });
  const copy = async (): Promise<void> => {
    try {
      const script = await client.get<Wire<"ScriptText">>(spool(job, "tasks", row.key, "script"));
      giveScript({ name: row.title, text: script.text });
      void navigate({ to: ".", search: (old) => ({ ...old, submit: true as const }) });
    } catch (error) {
      toast({ text: errorWords(error), tone: "trouble" });
    }
  };
  const isLive = row.state === "waiting" || row.state === "running";
  const mayChange = useIsReadOnly() === false;
  useShortcut("s", t`stop or cancel it`, stop, { isOn: mayChange && isLive });
  useShortcut("r", t`run it again`, () => void plan({ action: "retry", tasks: [row.key] }), { isOn: mayChange && !isLive });
  if (!mayChange) return null;
  return (
    <div className={styles["actions"]}>
      <Button onClick={() => void copy()}>
        <Trans>Copy as script</Trans>
      </Button>
      {row.state === "running" && (
        <Button variant="danger" onClick={stop}>
          <Trans>Stop</Trans>
        </Button>
      )}
      {row.state === "waiting" && (
        <Button variant="danger" onClick={stop}>
          <Trans>Cancel</Trans>
        </Button>
      )}
      {!isLive && (
        <Button variant="primary" onClick={() => void plan({ action: "retry", tasks: [row.key] })}>
          <Trans>Run again</Trans>
        </Button>
      )}
    </div>
  );
}

function Loaded({ job, detail }: { job: string; detail: TaskDetail }) {
  const { t } = useLingui();
  const search = route.useSearch();
  const navigate = useNavigate();
  const { row } = detail;
  const tab: TabId = search.tab ?? (row.state === "waiting" && detail.logs.length === 0 ? "why" : "log");
  const latest = detail.logs[detail.logs.length - 1];
  const ofTry = search.try === undefined ? undefined : detail.logs.find((one) => one.number === search.try);
  // A log that is deleted while it is read stays the one that is shown; that it is gone is told there.
  const known = useRef("latest");
  if (latest) known.current = latest.source;
  const source = search.source ?? ofTry?.source ?? known.current;
  const hasLog = detail.logs.length > 0 || known.current !== "latest" || search.source !== undefined;
  const number = search.try ?? detail.logs.find((one) => one.source === source)?.number ?? detail.tries[detail.tries.length - 1]?.number ?? 1;
  const toTab = (next: TabId): void => void navigate({ to: ".", search: (old) => ({ ...old, tab: next }), replace: true });

  useTitle(`${row.title} ${row.short}`);

  const sources = detail.logs.length > 1 && (
    <select
      className={styles["select"]}
      aria-label={t`Which log`}
      value={source}
      onChange={(event) => void navigate({ to: ".", search: (old) => ({ ...old, source: event.target.value, try: undefined, at: undefined }) })}
    >
      {detail.logs.map((one) => (
        <option key={one.source} value={one.source}>
          {one.kind === "try" ? t`try ${one.number ?? 1}` : one.title} · {fileSize(one.size_bytes)}
        </option>
      ))}
    </select>
  );

  return (
    <>
      <header className={styles["head"]}>
        <StateShape shape={shapeOf(row)} size={16} label={row.outcome || row.state} />
        <h1>{row.title}</h1>
        <span className={styles["id"]} title={row.key}>
          {row.short}
        </span>
        <TryMenu
          detail={detail}
          number={number}
          onTry={(next) => void navigate({ to: ".", search: (old) => ({ ...old, try: next, tab: undefined, source: undefined, at: undefined }) })}
        />
        <Actions job={job} detail={detail} />
      </header>
      <Sentence row={row} host={detail.host}>
        <PartOf detail={detail} />
      </Sentence>
      {detail.problems.length > 0 && (
        <div className={styles["problems"]}>
          <Banner tone="notice">{listed(detail.problems.map((one) => said(one.text)))}</Banner>
        </div>
      )}
      <Tabs<TabId>
        label={t`Task`}
        current={tab}
        onChange={toTab}
        tabs={[
          { id: "log", label: t`Log` },
          { id: "why", label: t`Why` },
          { id: "tries", label: t`Tries`, count: detail.tries.length },
          { id: "gpus", label: t`GPUs` },
          { id: "script", label: t`Script` },
          { id: "record", label: t`Record` },
        ]}
      />
      <div className={styles["body"]} role="tabpanel" aria-label={t`Task`}>
        {tab === "log" && !hasLog && (
          <Panel>
            <Empty>
              <Trans>It has no log: it has not run yet.</Trans>
            </Empty>
          </Panel>
        )}
        {tab === "log" && hasLog && (
          <LogView
            key={source}
            job={job}
            taskKey={row.key}
            source={source}
            isRunning={row.state === "running" && source === known.current}
            startedAt_s={row.started_at_s}
            search={search}
            sources={sources}
          />
        )}
        {tab === "why" && <WhyTab detail={detail} />}
        {tab === "tries" && <TriesTab detail={detail} />}
        {tab === "gpus" && <GpusTab job={job} detail={detail} />}
        {tab === "script" && <ScriptTab job={job} detail={detail} />}
        {tab === "record" && (
          <Panel title={t`Record`} aside={detail.path}>
            <pre className={styles["code"]} tabIndex={0} aria-label={t`Record`}>
              <div className={styles["bar"]}>{visible(JSON.stringify(detail.record, null, 2))}</div>
            </pre>
          </Panel>
        )}
      </div>
    </>
  );
}

/** One task: its log, why it waits, its tries, its GPUs, its script, its record. */
export function TaskPage() {
  const job = useJob();
  const { id } = route.useParams();
  const { data, error } = useTask(job, id);
  if (data) return <Loaded key={data.row.key} job={job} detail={data} />;
  if (isAccessError(error)) return <TokenPanel />;
  if (error)
    return (
      <Panel>
        <Empty>{errorWords(error)}</Empty>
      </Panel>
    );
  return <Skeleton rows={16} />;
}
