import { Trans, useLingui } from "@lingui/react/macro";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type uPlot from "uplot";
import type { Options } from "uplot";

import { errorWords } from "../api/said";
import type { Lane, Living } from "../api/types";
import { useMap, useStore } from "../live/hooks";
import { Chart, timeAxis } from "../ui/Chart";
import { Empty } from "../ui/Empty";
import { clockTime, dateTime, duration } from "../ui/format";
import { Panel } from "../ui/Panel";
import { Skeleton } from "../ui/Skeleton";
import { outcomeWords } from "../ui/outcome";
import { light } from "./lit";
import { RANGE_S, rangeFor, zoomOf, type Range } from "./search";
import { colors, draw, intervalAt, ROW_PX, type Row } from "./timeCanvas";
import { TimeTable } from "./TimeTable";
import styles from "./TimeView.module.css";
import { useTimeline } from "./timeline";

const LABELS_PX = 40;
const AXIS_PX = 24;
const TOLD_MS = 400;
const route = getRouteApi("/ui/gpu");

function rowsOf(nodes: readonly string[], all: Living["nodes"], gpus: Living["gpus"], lanes: Map<string, Lane>): Row[] {
  return nodes.flatMap((key) => {
    const node = all[key];
    if (!node || node.gpus.length === 0) return [];
    const title: Row = { label: node.title, lane: null, isTitle: true };
    return [title, ...node.gpus.map((gpu) => ({ label: String(gpus[gpu]?.index ?? ""), lane: lanes.get(gpu) ?? null, isTitle: false }))];
  });
}

interface Span {
  from_s: number;
  to_s: number;
}

/** Keeps a span inside of what is known, and not shorter than a minute. */
export function within(span: Span, most: Span): Span {
  const length = Math.min(most.to_s - most.from_s, Math.max(60, span.to_s - span.from_s));
  const from_s = Math.min(most.to_s - length, Math.max(most.from_s, span.from_s));
  return { from_s, to_s: from_s + length };
}

/** All GPUs as lanes on one canvas: drag zooms, Shift drag moves, and so do the keys. */
export function TimeView({ nodes, range: wanted }: { nodes: readonly string[]; range: Range }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const store = useStore();
  const { zoom: asked } = route.useSearch();
  // What an address names stays in view however old it gets.
  const range = rangeFor(wanted, zoomOf(asked), store.now_s());
  const { lanes, timeline, error } = useTimeline(range);
  const all = useMap("nodes") ?? {};
  const gpus = useMap("gpus") ?? {};
  const rows = useMemo(() => rowsOf(nodes, all, gpus, lanes), [nodes, all, gpus, lanes]);
  const latest = useRef(rows);
  latest.current = rows;
  const plot = useRef<uPlot | null>(null);
  const span = useRef<Span | null>(zoomOf(asked) ?? null);
  const told = useRef(0);
  const [here, setHere] = useState("");

  const most = (): Span => {
    const to_s = store.now_s();
    return { from_s: to_s - RANGE_S[range], to_s };
  };
  const show = (next: Span | null): void => {
    const { from_s, to_s } = next ? within(next, most()) : most();
    span.current = next === null ? null : { from_s, to_s };
    // The address follows when it has come to rest.
    window.clearTimeout(told.current);
    const zoom = next === null ? undefined : `${Math.floor(from_s)}-${Math.ceil(to_s)}`;
    told.current = window.setTimeout(() => void navigate({ to: ".", search: (old) => ({ ...old, zoom }), replace: true }), TOLD_MS);
    plot.current?.setScale("x", { min: from_s, max: to_s });
  };
  const shown = (): Span => (span.current ? within(span.current, most()) : most());
  const zoom = (by: number): void => {
    const { from_s, to_s } = shown();
    const middle = (from_s + to_s) / 2;
    const half = ((to_s - from_s) / 2) * by;
    show({ from_s: middle - half, to_s: middle + half });
  };
  const move = (share: number): void => {
    const { from_s, to_s } = shown();
    const by = (to_s - from_s) * share;
    show({ from_s: from_s + by, to_s: to_s + by });
  };

  useEffect(() => {
    plot.current?.redraw(false);
  }, [rows]);
  useEffect(() => () => window.clearTimeout(told.current), []);

  const press = (event: KeyboardEvent): void => {
    const does: Record<string, () => void> = {
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      ArrowLeft: () => move(-0.2),
      ArrowRight: () => move(0.2),
      Home: () => show(null),
      Escape: () => show(null),
    };
    const one = does[event.key];
    if (!one || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    one();
  };

  const options = (): Omit<Options, "width" | "height"> => {
    const paint = colors();
    return {
      padding: [0, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: {
        x: {
          time: true,
          range: () => {
            const { from_s, to_s } = shown();
            return [from_s, to_s];
          },
        },
        y: { range: [0, 1] },
      },
      axes: [timeAxis({ size: AXIS_PX, space: 80 }), { show: true, size: LABELS_PX, values: () => [], grid: { show: false }, ticks: { show: false } }],
      series: [{}, { show: false }],
      hooks: {
        draw: [(one: uPlot) => draw(one, latest.current, LABELS_PX, paint)],
        setSelect: [
          (one: uPlot) => {
            const { left, width } = one.select;
            if (width < 4) return;
            show({ from_s: one.posToVal(left, "x"), to_s: one.posToVal(left + width, "x") });
            one.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        setCursor: [
          (one: uPlot) => {
            const found = intervalAt(one, latest.current, one.cursor.left ?? -1, one.cursor.top ?? -1);
            light(found?.interval.task || null);
            if (!found) return setHere("");
            const { interval } = found;
            const took = duration((interval.to_s ?? store.now_s()) - interval.from_s);
            setHere(`${interval.title || interval.use} · ${clockTime(interval.from_s, false)} · ${took}${interval.outcome ? ` · ${outcomeWords(interval.outcome)}` : ""}`);
          },
        ],
        ready: [(one: uPlot) => one.over.addEventListener("pointerdown", (event) => event.shiftKey && pan(one, event), true)],
      },
    };
  };

  /** Shift and drag: the span goes with the pointer. */
  const pan = (one: uPlot, start: PointerEvent): void => {
    start.preventDefault();
    start.stopImmediatePropagation();
    const from = shown();
    const perPixel = (from.to_s - from.from_s) / one.over.clientWidth;
    const go = (event: PointerEvent): void => {
      const by = (start.clientX - event.clientX) * perPixel;
      show({ from_s: from.from_s + by, to_s: from.to_s + by });
    };
    const end = (): void => {
      window.removeEventListener("pointermove", go);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", go);
    window.addEventListener("pointerup", end);
  };

  const click = (): void => {
    const one = plot.current;
    if (!one || one.select.width > 0) return;
    const found = intervalAt(one, latest.current, one.cursor.left ?? -1, one.cursor.top ?? -1);
    if (found?.interval.task) void navigate({ to: "/ui/state/$id", params: { id: found.interval.task } });
  };

  if (error && !timeline) {
    const problem = errorWords(error);
    return (
      <Panel>
        <Empty>
          <Trans>There is no history: {problem}</Trans>
        </Empty>
      </Panel>
    );
  }
  if (!timeline) return <Skeleton rows={12} />;
  const count = rows.filter((row) => row.lane).length;
  const since = dateTime(timeline.from_s);
  const height_px = rows.length * ROW_PX + AXIS_PX;
  return (
    <Panel
      title={t`What each GPU did`}
      aside={here || <Trans>Drag or + − to zoom, Shift drag or ← → to move, Esc: all</Trans>}
      className={styles["panel"]}
    >
      {/* The keys belong to the picture: it takes the focus like any control. */}
      <div className={styles["picture"]} tabIndex={0} role="group" aria-label={t`Time of the GPUs`} onKeyDown={press} onClick={click}>
        <Chart
          key={`${range} ${rows.length}`}
          height_px={height_px}
          data={[[timeline.from_s, timeline.to_s], [0, 0]]}
          options={options}
          onPlot={(one) => (plot.current = one)}
          label={t`${count} GPUs since ${since}; the same as a table below`}
        />
      </div>
      <TimeTable rows={rows} />
    </Panel>
  );
}
