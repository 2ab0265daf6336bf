import { useLingui } from "@lingui/react/macro";
import { useMemo } from "react";
import type uPlot from "uplot";
import type { AlignedData, Options } from "uplot";

import { axis, Chart, timeAxis, token } from "../ui/Chart";
import { power, UNKNOWN } from "../ui/format";
import { cursorOf, type CursorProps } from "./cursor";
import { kWh, meanOf } from "./numbers";
import type { Usage } from "./usage";

const LOAD_PX = 168;
const POWER_PX = 120;

export interface BandSpan {
  low: number;
  high: number;
}

/** The strip in which the keep-alive holds a GPU, behind everything. */
function drawBand(plot: uPlot, band: BandSpan): void {
  const { ctx, bbox } = plot;
  const top = plot.valToPos(band.high, "y", true);
  const bottom = plot.valToPos(band.low, "y", true);
  ctx.save();
  ctx.fillStyle = token("keepalive");
  ctx.globalAlpha = 0.16;
  ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
  ctx.restore();
}

function spanOf(usage: Usage): [number, number] {
  return [usage.from_s, Math.min(usage.to_s, usage.now_s)];
}

function loadOptions(usage: Usage, band: BandSpan | undefined, cursor: CursorProps): Omit<Options, "width" | "height"> {
  const color = token("busy");
  const base = cursorOf(cursor);
  return {
    legend: { show: false },
    ...base,
    scales: { x: { time: true, range: spanOf(usage) }, y: { range: [0, 100] } },
    axes: [timeAxis({ size: 22, space: 70 }), axis({ size: 44, space: 28 })],
    series: [
      {},
      { stroke: "transparent", width: 0, points: { show: false } },
      { stroke: color, width: 1.5, points: { show: false } },
      { stroke: "transparent", width: 0, points: { show: false } },
    ],
    bands: [{ series: [3, 1], fill: `color-mix(in srgb, ${color} 20%, transparent)` }],
    hooks: { ...base.hooks, drawAxes: band ? [(plot: uPlot) => drawBand(plot, band)] : [] },
  };
}

/** Utilisation: the mean, and how far GPUs are apart. */
export function LoadChart({ usage, band, cursor }: { usage: Usage; band: BandSpan | undefined; cursor: CursorProps }) {
  const { t } = useLingui();
  const data = useMemo<AlignedData>(() => [usage.at_s, usage.low_percent, usage.mean_percent, usage.high_percent], [usage]);
  const mean = meanOf(usage.mean_percent);
  const told = mean === null ? UNKNOWN : `${mean.toFixed(0)} %`;
  return (
    <Chart
      key={`${usage.from_s} ${usage.to_s} ${band?.low} ${band?.high}`}
      height_px={LOAD_PX}
      data={data}
      options={() => loadOptions(usage, band, cursor)}
      label={t`Utilisation over time, in the mean ${told}`}
    />
  );
}

function powerOptions(usage: Usage, cursor: CursorProps): Omit<Options, "width" | "height"> {
  const color = token("t2");
  return {
    legend: { show: false },
    ...cursorOf(cursor),
    scales: { x: { time: true, range: spanOf(usage) }, y: { range: (_plot, _least, most) => [0, Math.max(0.1, (most ?? 0.1) * 1.08)] } },
    axes: [timeAxis({ size: 22, space: 70 }), axis({ size: 44, space: 28 })],
    series: [{}, { stroke: color, width: 1.5, fill: `color-mix(in srgb, ${color} 14%, transparent)`, points: { show: false } }],
  };
}

/** Power of all GPUs together, in kW. */
export function PowerChart({ usage, cursor }: { usage: Usage; cursor: CursorProps }) {
  const { t } = useLingui();
  const data = useMemo<AlignedData>(() => [usage.at_s, usage.power_w.map((one) => (one === null ? null : one / 1000))], [usage]);
  const mean = power(meanOf(usage.power_w));
  const energy = kWh(usage.energy_j);
  return (
    <Chart
      key={`${usage.from_s} ${usage.to_s}`}
      height_px={POWER_PX}
      data={data}
      options={() => powerOptions(usage, cursor)}
      label={t`Power over time: ${mean} in the mean, ${energy} kWh`}
    />
  );
}
