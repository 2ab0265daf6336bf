import type { Gpu, Living, Use } from "../api/types";

export const USES: readonly Use[] = ["task", "keepalive", "idle", "foreign", "lost", "unknown"];

export interface Occupation {
  total: number;
  by: Record<Use, number>;
  /** null: no GPU tells. */
  power_w: number | null;
}

/** How many GPUs do what. */
export function occupation(gpus: Record<string, Gpu>): Occupation {
  const by: Record<Use, number> = { task: 0, keepalive: 0, idle: 0, foreign: 0, lost: 0, unknown: 0 };
  let power_w: number | null = null;
  for (const gpu of Object.values(gpus)) {
    by[gpu.use] += 1;
    if (gpu.power_w != null) power_w = (power_w ?? 0) + gpu.power_w;
  }
  return { total: Object.keys(gpus).length, by, power_w };
}

/** The running task whose --time ends first; null: none has one. */
export function endsFirst(running: Living["running"]): { title: string; at_s: number } | null {
  let first: { title: string; at_s: number } | null = null;
  for (const { title, started_at_s, limit_s } of Object.values(running)) {
    if (started_at_s == null || limit_s == null) continue;
    const at_s = started_at_s + limit_s;
    if (first === null || at_s < first.at_s) first = { title, at_s };
  }
  return first;
}
