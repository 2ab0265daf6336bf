import type uPlot from "uplot";

import type { Interval, Lane } from "../api/types";
import { token } from "../ui/Chart";

/** A row of the picture: a GPU, or the title of a node. */
export interface Row {
  label: string;
  lane: Lane | null;
  isTitle: boolean;
}

export const LANE_PX = 11;
const GAP_PX = 2;
export const ROW_PX = LANE_PX + GAP_PX;

interface Colors {
  panel: string;
  busy: string;
  keepalive: string;
  foreign: string;
  lost: string;
  t1: string;
  t2: string;
  t3: string;
}

export function colors(): Colors {
  return {
    panel: token("panel"),
    busy: token("busy"),
    keepalive: token("keepalive"),
    foreign: token("foreign"),
    lost: token("lost"),
    t1: token("t1"),
    t2: token("t2"),
    t3: token("t3"),
  };
}

const HEIGHTS: Record<Interval["use"], number> = { task: LANE_PX, keepalive: 2, idle: 0, foreign: 6, lost: 2, unknown: 1 };

function fill(interval: Interval, all: Colors): string {
  if (interval.use === "task") return all.busy;
  if (interval.use === "unknown" || interval.use === "idle") return all.t3;
  return all[interval.use];
}

/** As much of a text as fits, with an ellipsis where something is missing. */
function cutTo(ctx: CanvasRenderingContext2D, text: string, most: number): string {
  if (ctx.measureText(text).width <= most) return text;
  let length = text.length;
  while (length > 1 && ctx.measureText(`${text.slice(0, length)}…`).width > most) length = Math.floor(length * 0.9);
  return `${text.slice(0, length)}…`;
}

/** Draws all lanes that lie in the plot's range. Every length is in pixels of the canvas. */
export function draw(plot: uPlot, rows: readonly Row[], labels_px: number, all: Colors): void {
  const { ctx } = plot;
  const ratio = devicePixelRatio;
  const { left, top, width } = plot.bbox;
  const from_s = plot.scales["x"]?.min ?? 0;
  const to_s = plot.scales["x"]?.max ?? 1;
  const x = (at_s: number): number => left + ((at_s - from_s) / (to_s - from_s)) * width;
  ctx.save();
  ctx.textBaseline = "middle";
  rows.forEach((row, at) => {
    const middle = top + (at + 0.5) * ROW_PX * ratio;
    ctx.globalAlpha = 1;
    ctx.fillStyle = row.isTitle ? all.t1 : all.t2;
    ctx.font = `${row.isTitle ? "600 " : ""}${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = row.isTitle ? "left" : "right";
    const label = row.isTitle ? cutTo(ctx, row.label, width + labels_px * ratio - 8 * ratio) : row.label;
    ctx.fillText(label, row.isTitle ? left - labels_px * ratio + 4 * ratio : left - 8 * ratio, middle);
    for (const interval of row.lane?.intervals ?? []) {
      const end_s = interval.to_s ?? to_s;
      const height = HEIGHTS[interval.use] * ratio;
      if (height === 0 || end_s < from_s || interval.from_s > to_s) continue;
      const start = Math.max(left, x(interval.from_s));
      const end = Math.min(left + width, x(end_s));
      ctx.globalAlpha = interval.use === "task" && interval.to_s != null ? 0.55 : 1;
      ctx.fillStyle = fill(interval, all);
      ctx.fillRect(start, middle - height / 2, Math.max(ratio, end - start - (interval.use === "task" ? ratio : 0)), height);
      if (interval.is_failure) {
        ctx.globalAlpha = 1;
        ctx.fillStyle = all.lost;
        ctx.fillRect(Math.max(start, end - 2 * ratio), middle - height / 2, 2 * ratio, height);
      }
    }
  });
  ctx.restore();
}

/** What lies at a place of the plot, in CSS pixels of its inner part. */
export function intervalAt(plot: uPlot, rows: readonly Row[], left_px: number, top_px: number): { row: Row; interval: Interval } | null {
  const row = rows[Math.floor(top_px / ROW_PX)];
  const at_s = plot.posToVal(left_px, "x");
  const found = row?.lane?.intervals.find((one) => one.from_s <= at_s && at_s <= (one.to_s ?? Infinity));
  return row && found ? { row, interval: found } : null;
}
