import type { Wire } from "../../api/types";
import { firstAbove } from "./place";

export type LogHits = Wire<"LogHits">;

/** Searches a part of the file for a moment; `known`: how many offsets are known already. */
export type Ask = (from: number, to: number | null, known: number) => Promise<LogHits>;

/** A part of the file whose hits are all known by place. */
type Part = readonly [from: number, to: number];

export interface Hits {
  /** Of hits that are known by place, ascending; at most KNOWN_MAX. */
  offsets: readonly number[];
  parts: readonly Part[];
  count: number;
  bins: readonly number[];
  isDone: boolean;
}

export const NO_HITS: Hits = { offsets: [], parts: [], count: 0, bins: [], isDone: true };
/** So many the server names. */
const KNOWN_MAX = 1000;
const BACK_BYTES = 1 << 20;
const BACK_MAX_BYTES = 64 << 20;

/** Everything that there is, a slice at a time: from a byte to the end, then from the start. */
export async function findAll(ask: Ask, begin: number, hear: (hits: Hits) => void): Promise<void> {
  let now: Hits = { ...NO_HITS, isDone: false };
  const wanted: [number, number | null][] = begin > 0 ? [[begin, null], [0, begin]] : [[0, null]];
  for (const [start, to] of wanted) {
    for (let at: number | null = start; at !== null; ) {
      const found = await ask(at, to, now.offsets.length);
      const isWhole = found.offsets.length === found.count;
      const known: Part = [at, isWhole ? (found.searched[1] ?? at) : (found.offsets[found.offsets.length - 1] ?? at)];
      now = {
        offsets: [...now.offsets, ...found.offsets].sort((a, b) => a - b),
        parts: known[1] > known[0] ? joined(now.parts, known) : now.parts,
        count: now.count + found.count,
        bins: found.bins.map((one, bin) => one + (now.bins[bin] ?? 0)),
        isDone: false,
      };
      hear(now);
      at = found.next ?? null;
    }
  }
  hear({ ...now, isDone: true });
}

function joined(parts: readonly Part[], next: Part): Part[] {
  const last = parts[parts.length - 1];
  return last && last[1] === next[0] ? [...parts.slice(0, -1), [last[0], next[1]]] : [...parts, next];
}

/** The hit after (1) or before (-1) a byte among those that are known, round at the ends; null: none is. */
export function neighbour(offsets: readonly number[], from: number, step: 1 | -1): number | null {
  if (offsets.length === 0) return null;
  const above = firstAbove(offsets.length, (at) => offsets[at] ?? 0, from);
  const index = step > 0 ? above : above - 1 - (offsets[above - 1] === from ? 1 : 0);
  return offsets[(index + offsets.length) % offsets.length] ?? null;
}

/** The hit after (1) or before (-1) a byte of the whole file; null: there is none. */
export async function findNext(ask: Ask, hits: Hits, size: number, from: number, step: 1 | -1): Promise<number | null> {
  const near = neighbour(hits.offsets, from, step);
  const isNear = near !== null && (step > 0 ? near > from : near < from);
  if (hits.count === hits.offsets.length && hits.isDone) return near;
  if (isNear && hits.parts.some(([begins, ends]) => begins <= Math.min(near, from) && Math.max(near, from) <= ends)) return near;
  return (await (step > 0 ? forward(ask, from + 1, null) : backward(ask, 0, from))) ?? (step > 0 ? forward(ask, 0, from + 1) : backward(ask, from, size));
}

async function forward(ask: Ask, from: number, to: number | null): Promise<number | null> {
  for (let at: number | null = from; at !== null; ) {
    const found: LogHits = await ask(at, to, KNOWN_MAX - 1);
    if (found.offsets[0] !== undefined) return found.offsets[0];
    at = found.next ?? null;
  }
  return null;
}

/** The last hit of a part: it is searched from its end, in pieces that grow while they hold nothing. */
async function backward(ask: Ask, from: number, to: number): Promise<number | null> {
  let span = BACK_BYTES;
  for (let end = to; end > from; ) {
    const begin = Math.max(from, end - span);
    let last: number | null = null;
    let isCut = false;
    for (let at: number | null = begin; at !== null; ) {
      const found: LogHits = await ask(at, end, 0);
      last = found.offsets[found.offsets.length - 1] ?? last;
      isCut = found.offsets.length < found.count;
      at = isCut ? null : (found.next ?? null);
    }
    if (isCut && end - begin > 1024) {
      span = Math.ceil((end - begin) / 4);
      continue;
    }
    if (last !== null) return last;
    end = begin;
    span = Math.min(BACK_MAX_BYTES, span * 4);
  }
  return null;
}
