import { useEffect, useRef } from "react";
import uPlot, { type AlignedData, type Options } from "uplot";
import "uplot/dist/uPlot.min.css";

import "./Chart.css";
import { clockTime, dateTime } from "./format";
import { usePrefs } from "./prefs";

/** The value of a token of tokens.css, for a canvas. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** An axis as the pages of this console draw it. */
export function axis(more: uPlot.Axis = {}): uPlot.Axis {
  return {
    stroke: token("t3"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: token("line"), width: 1 },
    ticks: { show: false },
    ...more,
  };
}

const DAY_S = 86_400;

/** An axis of time: hours and minutes, or days where marks are that far apart; 24 hours in every language. */
export function timeAxis(more: uPlot.Axis = {}): uPlot.Axis {
  return axis({
    values: (_plot, splits, _axis, _space, step_s) =>
      splits.map((at_s) => (step_s >= DAY_S ? dateTime(at_s).slice(5, 10) : clockTime(at_s, step_s < 60))),
    ...more,
  });
}

export interface ChartProps {
  /** Made anew for another theme: colours are read from the tokens. */
  options: () => Omit<Options, "width" | "height">;
  data: AlignedData;
  height_px: number;
  /** What readers are told: a canvas says nothing. */
  label: string;
  /** Told of the plot, and of null when it is gone. */
  onPlot?: (plot: uPlot | null) => void;
}

/** A plot as wide as its place. What `options` reads must be in `key` of the caller: they are read once. */
export function Chart({ options, data, height_px, label, onPlot }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ options, data, onPlot });
  latest.current = { options, data, onPlot };
  const { theme } = usePrefs();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(
      { ...latest.current.options(), width: element.clientWidth, height: height_px },
      latest.current.data,
      element,
    );
    plot.current = made;
    latest.current.onPlot?.(made);
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height: height_px });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      latest.current.onPlot?.(null);
      made.destroy();
      plot.current = null;
    };
  }, [height_px, theme]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  return <div ref={place} role="img" aria-label={label} style={{ height: height_px }} />;
}
