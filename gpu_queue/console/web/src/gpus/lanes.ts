import type { Interval, Lane } from "../api/types";

/** A part of a lane, in shares of its width. */
export interface Block {
  left: number;
  width: number;
  kind: "now" | "past" | "past2" | "keepalive" | "foreign" | "lost" | "unknown";
  interval: Interval;
}

/** Two neighbours are told apart by their shade: which one depends on the id alone, so it stays. */
function shade(task: string): "past" | "past2" {
  let sum = 0;
  for (let at = 0; at < task.length; at += 1) sum = (sum * 31 + task.charCodeAt(at)) % 997;
  return sum % 2 === 0 ? "past" : "past2";
}

function kindOf(interval: Interval): Block["kind"] | null {
  if (interval.use === "idle") return null;
  if (interval.use !== "task") return interval.use;
  return interval.to_s == null ? "now" : shade(interval.task);
}

/** What is drawn of a lane between two moments. */
export function blocks(lane: Lane, from_s: number, to_s: number): Block[] {
  const span = to_s - from_s;
  const found: Block[] = [];
  for (const interval of lane.intervals) {
    const kind = kindOf(interval);
    const start = Math.max(from_s, interval.from_s);
    const end = Math.min(to_s, interval.to_s ?? to_s);
    if (kind === null || end < start || start > to_s) continue;
    found.push({ left: (start - from_s) / span, width: (end - start) / span, kind, interval });
  }
  return found;
}

/** Where the axis has its marks: seconds before now, and the words for them. */
export function marks(range_s: number): { before_s: number; label: string }[] {
  const steps: [number, number, string, number][] = [
    [3600, 1200, "min", 60],
    [21_600, 7200, "h", 3600],
    [86_400, 28_800, "h", 3600],
    [604_800, 172_800, "d", 86_400],
  ];
  const [, step, unit, size] = steps.find(([range]) => range >= range_s) ?? [0, range_s / 3, "s", 1];
  const found = [];
  for (let before_s = range_s; before_s > 0; before_s -= step) {
    found.push({ before_s, label: `−${Math.round(before_s / size)} ${unit}` });
  }
  return found;
}
