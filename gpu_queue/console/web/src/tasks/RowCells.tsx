import { Trans, useLingui } from "@lingui/react/macro";
import type { ReactNode } from "react";

import type { TaskRow } from "../api/types";
import { useSaid } from "../gpus/words";
import { Elapsed } from "../live/Elapsed";
import { useEntity } from "../live/hooks";
import { indices, thousands, UNKNOWN } from "../ui/format";
import { StateShape, type Shape } from "../ui/StateShape";
import { outcomeWords } from "../ui/outcome";

const CANCELLED = ["cancelled", "canceled"];
const STOPPED = ["stopped", ...CANCELLED];

export function shapeOf(row: TaskRow): Shape {
  return row.state === "failed" && STOPPED.includes(row.outcome ?? "") ? "stopped" : row.state;
}

/** The state in words. */
export function useStateWord(): (row: TaskRow) => string {
  const { t } = useLingui();
  return (row) => {
    switch (row.state) {
      case "waiting":
        return t`waiting`;
      case "running":
        return t`running`;
      case "done":
        return t`done`;
      case "failed":
        if (CANCELLED.includes(row.outcome ?? "")) return t`cancelled`;
        return STOPPED.includes(row.outcome ?? "") ? t`stopped` : t`failed`;
    }
  };
}

export function StateCell({ row }: { row: TaskRow }) {
  const word = useStateWord();
  return (
    <>
      <StateShape shape={shapeOf(row)} /> {word(row)}
    </>
  );
}

function useNodeTitle(node: string): string {
  return useEntity("nodes", node)?.title ?? node;
}

function Place({ row }: { row: TaskRow }) {
  const node = useNodeTitle(row.node ?? "");
  const gpus = row.gpu_indices ?? [];
  if (!node) return null;
  const list = indices(gpus);
  if (gpus.length === 0) return <>{node}</>;
  return gpus.length === 1 ? <Trans>{node} · GPU {list}</Trans> : <Trans>{node} · GPUs {list}</Trans>;
}

/** Where it runs or ran, or why it waits. */
export function WhereCell({ row }: { row: TaskRow }): ReactNode {
  const said = useSaid();
  if (row.state === "waiting") {
    const why = row.why?.[0];
    if (why) return said(why.text);
    const number = thousands((row.place ?? 0) + 1);
    return row.place == null ? "" : <Trans>no. {number} in run order</Trans>;
  }
  if (row.state === "running") return <Place row={row} />;
  const known = (word: string | null | undefined): string => (word && word !== "unknown" ? word : "");
  const words = row.outcome === "stopped" || row.outcome === "cancelled" ? [] : [outcomeWords(known(row.outcome)), outcomeWords(known(row.error_type))];
  const how = row.state === "failed" ? [...new Set(words)].filter(Boolean).join(" · ") : "";
  return (
    <>
      {how}
      {how && row.node ? " · " : ""}
      <Place row={row} />
    </>
  );
}

/** What its time is counted from. */
export function sinceOf(row: TaskRow): number | null {
  if (row.state === "waiting") return row.submitted_at_s ?? null;
  if (row.state === "running") return row.started_at_s ?? null;
  return row.ended_at_s ?? null;
}

export function SinceCell({ row }: { row: TaskRow }) {
  const since_s = sinceOf(row);
  return since_s === null ? UNKNOWN : <Elapsed since_s={since_s} short={row.state === "done" || row.state === "failed"} />;
}
