import { useLingui } from "@lingui/react/macro";
import { useMemo, useState } from "react";
import type uPlot from "uplot";
import type { AlignedData, Options } from "uplot";

import type { Gpu, History, Wire } from "../api/types";
import { axis, Chart, timeAxis, token } from "../ui/Chart";
import { clockTime, dateTime, UNKNOWN } from "../ui/format";
import styles from "./QuantityCharts.module.css";

type Quantity = Wire<"Series">["quantity"];

interface Kind {
  quantity: Quantity;
  label: string;
  unit: string;
  color: string;
  /** Of the file's unit. */
  scale: number;
  top: number | null;
}

const GIB = 2 ** 30;
const HEIGHT_PX = 104;
const SYNC = "gpuq-gpu";

const scaled = (values: readonly (number | null)[], scale: number): (number | null)[] =>
  values.map((value) => (value === null ? null : value * scale));

function options(kind: Kind, from_s: number, to_s: number, onIndex: (at: number | null) => void): Omit<Options, "width" | "height"> {
  const color = token(kind.color);
  const pale = `color-mix(in srgb, ${color} 18%, transparent)`;
  return {
    legend: { show: false },
    cursor: { sync: { key: SYNC }, points: { size: 6 }, drag: { x: false, y: false }, y: false },
    scales: {
      x: { time: true, range: [from_s, to_s] },
      y: { range: (_plot, least, most) => [Math.min(0, least ?? 0), kind.top ?? Math.max(1, (most ?? 1) * 1.05)] },
    },
    axes: [timeAxis({ size: 22, space: 70 }), axis({ size: 40, space: 28 })],
    series: [
      {},
      { stroke: "transparent", width: 0, points: { show: false } },
      { stroke: color, width: 1.5, points: { show: false } },
      { stroke: "transparent", width: 0, points: { show: false } },
    ],
    bands: [{ series: [3, 1], fill: pale }],
    hooks: { setCursor: [(plot: uPlot) => onIndex(plot.cursor.idx ?? null)] },
  };
}

interface QuantityChartProps {
  kind: Kind;
  history: History;
  from_s: number;
  to_s: number;
  at: number | null;
  onIndex: (at: number | null) => void;
}

function QuantityChart({ kind, history, from_s, to_s, at, onIndex }: QuantityChartProps) {
  const { t } = useLingui();
  const series = history.series.find((one) => one.quantity === kind.quantity);
  const data = useMemo<AlignedData>(
    () => [
      history.at_s,
      scaled(series?.min ?? [], kind.scale),
      scaled(series?.mean ?? [], kind.scale),
      scaled(series?.max ?? [], kind.scale),
    ],
    [history, series, kind.scale],
  );
  const means = (series?.mean ?? []).filter((value): value is number => value !== null);
  if (!series || means.length === 0) return null;
  const show = (value: number | null | undefined): string => (value == null ? UNKNOWN : `${(value * kind.scale).toFixed(0)} ${kind.unit}`);
  const mean = show(means.reduce((sum, value) => sum + value, 0) / means.length);
  const most = show(Math.max(...(series.max ?? []).map((value) => value ?? 0)));
  const here = at === null ? t`mean ${mean}, most ${most}` : `${show(series.mean[at])} · ${clockTime(history.at_s[at], false)}`;
  const label = kind.label;
  const from = dateTime(from_s);
  return (
    <figure className={styles["figure"]}>
      <figcaption>
        <b>{label}</b> <span>{here}</span>
      </figcaption>
      <Chart
        key={`${from_s} ${to_s}`}
        height_px={HEIGHT_PX}
        data={data}
        options={() => options(kind, from_s, to_s, onIndex)}
        label={t`${label} since ${from}: mean ${mean}, most ${most}`}
      />
    </figure>
  );
}

/** What one GPU did, four quantities on one axis; the cursor is in step in all of them. */
export function QuantityCharts({ history, gpu, from_s, to_s }: { history: History; gpu: Gpu; from_s: number; to_s: number }) {
  const { t } = useLingui();
  const [at, setAt] = useState<number | null>(null);
  // The axis stays until there are new samples: a plot that is made anew each second would lose its cursor.
  const span = useMemo(() => ({ from_s: Math.floor(from_s), to_s: Math.floor(to_s) }), [history]);
  const total = gpu.memory_total_bytes;
  const kinds: Kind[] = [
    { quantity: "utilization_percent", label: t`Utilisation`, unit: "%", color: "busy", scale: 1, top: 100 },
    { quantity: "memory_used_bytes", label: t`Memory`, unit: "GiB", color: "t2", scale: 1 / GIB, top: total == null ? null : total / GIB },
    { quantity: "power_w", label: t`Power`, unit: "W", color: "foreign", scale: 1, top: gpu.power_limit_w ?? null },
    { quantity: "temperature_c", label: t`Temperature`, unit: "°C", color: "magenta", scale: 1, top: 100 },
  ];
  return (
    <>
      {kinds.map((kind) => (
        <QuantityChart key={kind.quantity} kind={kind} history={history} {...span} at={at} onIndex={setAt} />
      ))}
    </>
  );
}
