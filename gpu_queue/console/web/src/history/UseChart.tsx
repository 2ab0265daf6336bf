import { useLingui } from "@lingui/react/macro";
import { useMemo } from "react";
import type { AlignedData, Options } from "uplot";

import { USE_WORDS } from "../gpus/words";
import { axis, Chart, timeAxis, token } from "../ui/Chart";
import { cursorOf, type CursorProps } from "./cursor";
import { ORDER } from "./order";
import type { Usage, UseName } from "./usage";

const HEIGHT_PX = 168;

/** A pattern of lines, as the state has it in bars: states are told apart by more than colour. */
function hatched(color: string, isDotted: boolean): CanvasPattern | string {
  const tile = document.createElement("canvas");
  const size = 6 * devicePixelRatio;
  tile.width = tile.height = size;
  const ctx = tile.getContext("2d");
  if (!ctx) return color;
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.lineWidth = 1.6 * devicePixelRatio;
  if (isDotted) ctx.fillRect(0, 0, devicePixelRatio * 1.5, devicePixelRatio * 1.5);
  else {
    ctx.beginPath();
    for (const from of [-size, 0, size]) {
      ctx.moveTo(from, size);
      ctx.lineTo(from + size, 0);
    }
    ctx.stroke();
  }
  return ctx.createPattern(tile, "repeat") ?? color;
}

function fills(): Record<UseName, CanvasPattern | string> {
  return {
    task: token("busy"),
    keepalive: hatched(token("keepalive"), false),
    foreign: token("foreign"),
    lost: token("lost"),
    unknown: hatched(token("t3"), true),
    idle: "transparent",
  };
}

/** Each use on top of those before it; null where nothing is known. */
export function stacked(usage: Usage): (number | null)[][] {
  const by = new Map(usage.uses.map((one) => [one.use, one.gpus]));
  const sums: (number | null)[][] = [];
  for (const use of ORDER) {
    const below = sums[sums.length - 1];
    sums.push((by.get(use) ?? []).map((value, at) => (value == null ? null : value + (below?.[at] ?? 0))));
  }
  return sums;
}

function options(usage: Usage, cursor: CursorProps): Omit<Options, "width" | "height"> {
  const all = fills();
  const line = (use: UseName): string => (use === "idle" ? token("idle") : use === "unknown" ? token("t3") : token(use === "task" ? "busy" : use));
  return {
    legend: { show: false },
    ...cursorOf(cursor),
    scales: { x: { time: true, range: [usage.from_s, Math.min(usage.to_s, usage.now_s)] }, y: { range: (_plot, _least, most) => [0, Math.max(1, most)] } },
    axes: [timeAxis({ size: 22, space: 70 }), axis({ size: 44, space: 28, incrs: [1, 2, 4, 8, 16, 32, 64, 128, 256] })],
    series: [{}, ...ORDER.map((use, at) => ({ stroke: line(use), width: 1, points: { show: false }, ...(at === 0 ? { fill: all.task } : {}) }))],
    bands: ORDER.slice(1).map((use, at) => ({ series: [at + 2, at + 1] as [number, number], fill: () => all[use] })),
  };
}

/** How many GPUs were used for what, one use on top of the other. */
export function UseChart({ usage, cursor }: { usage: Usage; cursor: CursorProps }) {
  const { t, i18n } = useLingui();
  const data = useMemo<AlignedData>(() => [usage.at_s, ...stacked(usage)], [usage]);
  const hours = (use: UseName): string => ((usage.uses.find((one) => one.use === use)?.total_s ?? 0) / 3600).toFixed(0);
  const told = ORDER.map((use) => `${use === "task" ? t`tasks` : i18n._(USE_WORDS[use])} ${hours(use)}`).join(", ");
  return (
    <Chart
      key={`${usage.from_s} ${usage.to_s}`}
      height_px={HEIGHT_PX}
      data={data}
      options={() => options(usage, cursor)}
      label={t`What GPUs were used for, in GPU-hours: ${told}`}
    />
  );
}
