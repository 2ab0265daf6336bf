import { Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, type MouseEvent } from "react";

import type { Living } from "../api/types";
import { useFresh, useIsLoaded, useLiving, useMap, useNow } from "../live/hooks";
import { useJob } from "../shell/job";
import { cx } from "../ui/cx";
import { Empty } from "../ui/Empty";
import { useIsNarrow, useTitle } from "../ui/hooks";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import { AttentionPanel } from "./AttentionPanel";
import styles from "./GpusPage.module.css";
import { Headline } from "./Headline";
import "./lit.css";
import { lights } from "./lit";
import { NodePanel } from "./NodePanel";
import { OccupationBar } from "./OccupationBar";
import { QueuePanels } from "./QueuePanels";
import { RANGE_S, type Sort, type View } from "./search";
import { useTimeline } from "./timeline";
import { ViewTools } from "./ViewTools";

const TimeView = lazy(() => import("./TimeView").then((room) => ({ default: room.TimeView })));

const route = getRouteApi("/ui/gpu");
const MANY_GPUS = 32;

/** Keys of the nodes in the order that was asked for; those that have ended come last. */
export function orderedNodes(nodes: Living["nodes"], gpus: Living["gpus"], sort: Sort): string[] {
  const idle = (key: string): number =>
    (nodes[key]?.gpus ?? []).filter((gpu) => gpus[gpu]?.use === "idle" || gpus[gpu]?.use === "keepalive").length;
  const isOver = (key: string): boolean => nodes[key]?.presence === "stopped" || nodes[key]?.presence === "gone";
  const byName = (a: string, b: string): number =>
    (nodes[a]?.title ?? a).localeCompare(nodes[b]?.title ?? b, "en", { numeric: true }) || (a < b ? -1 : 1);
  const rank: Record<Sort, (key: string) => number> = {
    name: () => 0,
    ends: (key) => nodes[key]?.ends_at_s ?? Infinity,
    idle: (key) => -idle(key),
  };
  return Object.keys(nodes).sort((a, b) => {
    const over = Number(isOver(a)) - Number(isOver(b));
    const ranks = rank[sort](a) - rank[sort](b);
    return over || (Number.isNaN(ranks) ? 0 : ranks) || byName(a, b);
  });
}

function NoAgent() {
  const job = useJob();
  const isMade = useLiving("is_made");
  return (
    <Panel>
      <Empty command={`./submit.sh ${job}`}>
        {isMade === false ? (
          <Trans>There is no queue {job} yet. It is made by the first submission, or by an agent. On a GPU node:</Trans>
        ) : (
          <Trans>No agent serves {job}. On a GPU node:</Trans>
        )}
      </Empty>
    </Panel>
  );
}

function Nodes({ view, keys, isNarrow }: { view: "rows" | "tiles"; keys: readonly string[]; isNarrow: boolean }) {
  const { range = "6h" } = route.useSearch();
  const gpus = useMap("gpus") ?? {};
  const isDense = Object.keys(gpus).length > MANY_GPUS;
  const { lanes } = useTimeline(range, view === "rows");
  const to_s = useNow(30) + 30;
  return (
    <div className={cx(styles["nodes"], view === "tiles" && isDense && styles["dense"])}>
      {keys.map((key, at) => (
        <NodePanel
          key={key}
          nodeKey={key}
          view={view}
          isDense={view === "tiles" && isDense}
          isNarrow={isNarrow}
          hasHeads={at === 0}
          lanes={lanes}
          to_s={to_s}
          range_s={RANGE_S[range]}
        />
      ))}
    </div>
  );
}

function Loaded() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const isNarrow = useIsNarrow();
  const nodes = useMap("nodes") ?? {};
  const gpus = useMap("gpus") ?? {};
  const { range = "6h", sort = "name", node } = search;
  const view: View = search.view ?? (isNarrow || Object.keys(gpus).length > MANY_GPUS ? "tiles" : "rows");
  const keys = orderedNodes(nodes, gpus, sort).filter((key) => node === undefined || key === node);

  /** Blocks of lanes and empty parts of rows are no links: there are hundreds of them. */
  const open = (event: MouseEvent): void => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target || target.closest("a, button, dialog") || getSelection()?.isCollapsed === false) return;
    const task = target.closest("[data-open]")?.getAttribute("data-open");
    const gpu = target.closest("[data-gpu]")?.getAttribute("data-gpu");
    if (task) void navigate({ to: "/ui/state/$id", params: { id: task } });
    else if (gpu) void navigate({ to: ".", search: (old) => ({ ...old, gpu }) });
  };

  return (
    <div {...lights} onClick={open}>
      <Headline />
      <OccupationBar>{keys.length > 0 && <ViewTools view={view} range={range} sort={sort} />}</OccupationBar>
      <div className={styles["columns"]}>
        {keys.length === 0 && <NoAgent />}
        {keys.length > 0 && view === "time" && (
          <Suspense fallback={<Skeleton rows={8} />}>
            <TimeView nodes={keys} range={range} />
          </Suspense>
        )}
        {keys.length > 0 && view !== "time" && <Nodes view={view} keys={keys} isNarrow={isNarrow} />}
        <aside className={styles["side"]}>
          <AttentionPanel />
          <QueuePanels />
        </aside>
      </div>
    </div>
  );
}

/** Nodes, GPUs and the queue in one screen. */
export function GpusPage() {
  const { t } = useLingui();
  useTitle(t`GPUs`);
  const isLoaded = useIsLoaded();
  const { way, problem } = useFresh();
  if (isLoaded) return <Loaded />;
  if (way === "missing") return <Empty>{problem || <Trans>There is no such queue.</Trans>}</Empty>;
  return (
    <div className={styles["columns"]}>
      <Skeleton rows={12} />
      <Skeleton rows={8} height_px={44} />
    </div>
  );
}
