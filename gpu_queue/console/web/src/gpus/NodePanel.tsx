import { Trans, useLingui } from "@lingui/react/macro";
import { memo, useMemo, type ReactNode } from "react";

import type { Lane, Node } from "../api/types";
import { Elapsed, Remaining } from "../live/Elapsed";
import { useEntity, useMap } from "../live/hooks";
import { Chip } from "../ui/Chip";
import { cx } from "../ui/cx";
import { duration, gpuModel, power } from "../ui/format";
import { Panel } from "../ui/Panel";
import { GpuRow, type Join } from "./GpuRow";
import rowStyles from "./GpuRow.module.css";
import { GpuTile } from "./GpuTile";
import { LaneAxis } from "./LaneView";
import { NodeMenu } from "./NodeMenu";
import styles from "./NodePanel.module.css";
import { NODE_WORDS, useSaid } from "./words";

/** `8 × H100 80GB`, for each model. */
function models(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(gpuModel(name), (counts.get(gpuModel(name)) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(", ");
}

/** Which rows belong to one task and stand beside each other. */
export function joins(tasks: readonly (string | undefined)[]): Join[] {
  return tasks.map((task, at) => {
    const isBefore = task !== undefined && tasks[at - 1] === task;
    const isAfter = task !== undefined && tasks[at + 1] === task;
    if (isBefore) return isAfter ? "middle" : "last";
    return isAfter ? "first" : "alone";
  });
}

function stateOf(node: Node): string {
  return node.presence === "alive" ? node.state : node.presence;
}

function NodeState({ node }: { node: Node }) {
  const { i18n } = useLingui();
  const state = stateOf(node);
  const word = NODE_WORDS[state];
  if (!word) return null;
  const isTrouble = state === "silent" || state === "unknown";
  return <Chip tone={isTrouble ? "trouble" : "notice"}>{i18n._(word)}</Chip>;
}

function Facts({ node, isNarrow }: { node: Node; isNarrow: boolean }) {
  const said = useSaid();
  const gpus = useMap("gpus");
  const watts = node.gpus.reduce<number | null>((sum, key) => {
    const one = gpus?.[key]?.power_w ?? null;
    return one === null ? sum : (sum ?? 0) + one;
  }, null);
  const watcher = node.watched_by[0];
  const facts: ReactNode[] = [];
  if (!isNarrow && node.why) facts.push(<span key="why" className={styles["why"]}>{said(node.why.text)}</span>);
  if (!isNarrow && watts !== null && node.presence === "alive") facts.push(<span key="power">{power(watts)}</span>);
  if (node.presence === "silent") {
    const silent = duration(node.silent_s);
    // Of one without a file nobody knows since when.
    if (node.silent_s > 0) facts.push(<Trans key="silent">silent for {silent} or more</Trans>);
    if (watcher) {
      const { tries, by } = watcher;
      const until_s = watcher.told_at_s == null ? null : watcher.told_at_s + watcher.left_s;
      facts.push(<Trans key="watch">{by} takes {tries} over in <Remaining until_s={until_s} /></Trans>);
    }
  } else if (node.presence === "alive") {
    if (!isNarrow) facts.push(<Trans key="seen">seen <Elapsed since_s={node.written_at_s} /> ago</Trans>);
    if (node.ends_at_s != null) facts.push(<Trans key="ends">ends in <Remaining until_s={node.ends_at_s} /></Trans>);
  }
  return (
    <>
      {facts.map((fact, at) => (
        <span key={at}>
          {at > 0 && " · "}
          {fact}
        </span>
      ))}
    </>
  );
}

function Heads({ isShown, range_s }: { isShown: boolean; range_s: number }) {
  const { t } = useLingui();
  return (
    <div role="row" className={isShown ? rowStyles["heads"] : "sr-only"}>
      <span role="columnheader">{t`GPU`}</span>
      <span role="columnheader">{t`task`}</span>
      <span role="columnheader">{t`utilisation %`}</span>
      <span role="columnheader">{t`memory GiB`}</span>
      <span role="columnheader" className={rowStyles["right"]}>{t`W`}</span>
      <span role="columnheader" className={rowStyles["right"]}>{t`°C`}</span>
      <span role="columnheader" className={rowStyles["lane"]}>
        <LaneAxis range_s={range_s} />
      </span>
    </div>
  );
}

export interface NodePanelProps {
  nodeKey: string;
  view: "rows" | "tiles";
  /** Tiles without a sparkline: there are many. */
  isDense: boolean;
  isNarrow: boolean;
  hasHeads: boolean;
  lanes: Map<string, Lane>;
  to_s: number;
  range_s: number;
}

/** A node with its GPUs. */
export const NodePanel = memo(function NodePanel(props: NodePanelProps) {
  const { nodeKey, view, isDense, isNarrow, hasHeads, lanes, to_s, range_s } = props;
  const { t } = useLingui();
  const node = useEntity("nodes", nodeKey);
  const gpus = useMap("gpus");
  const rows = useMemo(() => (node?.gpus ?? []).flatMap((key) => (gpus?.[key] ? [{ key, gpu: gpus[key] }] : [])), [node, gpus]);
  if (!node) return null;
  const joined = joins(rows.map(({ gpu }) => gpu.running[0]));
  const isOld = node.presence !== "alive";
  const title = node.title;
  return (
    <Panel
      className={cx(isOld && styles["old"], isDense && styles["dense"])}
      title={title}
      count={
        <span className={styles["models"]}>
          {models(rows.map(({ gpu }) => gpu.name))}
          <NodeState node={node} />
        </span>
      }
      aside={
        <span className={styles["aside"]}>
          <Facts node={node} isNarrow={isNarrow || isDense} />
          <NodeMenu nodeKey={nodeKey} node={node} />
        </span>
      }
    >
      {view === "rows" && rows.length > 0 && (
        <div role="table" aria-label={t`GPUs of ${title}`} aria-rowcount={rows.length + 1} className={styles["table"]}>
          <Heads isShown={hasHeads} range_s={range_s} />
          {rows.map(({ key }, at) => (
            <GpuRow key={key} gpu={key} join={joined[at] ?? "alone"} lane={lanes.get(key)} to_s={to_s} range_s={range_s} />
          ))}
        </div>
      )}
      {view === "tiles" && rows.length > 0 && (
        <ul aria-label={t`GPUs of ${title}`} className={cx(styles["tiles"], isDense && styles["dense_tiles"])}>
          {rows.map(({ key }) => (
            <GpuTile key={key} gpu={key} isDense={isDense} />
          ))}
        </ul>
      )}
    </Panel>
  );
});
