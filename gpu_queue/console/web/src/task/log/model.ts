import type { Wire } from "../../api/types";
import { sgrAfter } from "./ansi";

export type LogRow = Wire<"LogRow">;
export type LogWindow = Wire<"LogWindow">;
export type FollowRows = Wire<"FollowRows">;

export const ROWS_MAX = 3000;

/** A row as it is drawn. */
export interface Line {
  row: LogRow;
  /** SGR sequences in force where it begins. */
  sgr: string;
  /** The number of its line; null: not counted, or it goes on from the row before. */
  number: number | null;
  /** Bytes that were left out before it. */
  gap: number;
}

/** What is held of a log: rows that hang together, at most ROWS_MAX. */
export interface Held {
  lines: readonly Line[];
  first: number;
  next: number;
  size: number;
  inode: string;
  /** Lines of the file; null: not counted. */
  count: number | null;
  /** Bytes in what was read that are no text. */
  replaced: number;
  isRunning: boolean;
}

const endsLine = (row: LogRow): boolean => !row.p && !row.u;

function lined(rows: readonly LogRow[], sgr: string, number: number | null, gap = 0): Line[] {
  const found: Line[] = [];
  let style = sgr;
  let count = number;
  let isNew = true;
  rows.forEach((row, at) => {
    found.push({ row, sgr: style, number: isNew ? count : null, gap: at === 0 ? gap : 0 });
    style = sgrAfter(style, row.t);
    isNew = endsLine(row);
    if (isNew && count !== null) count += 1;
  });
  return found;
}

export function heldOf(window: LogWindow): Held {
  return {
    lines: lined(window.rows, window.sgr, window.line ?? null),
    first: window.first,
    next: window.next,
    size: window.size_bytes,
    inode: window.inode,
    count: window.lines ?? null,
    replaced: window.replaced_bytes,
    isRunning: window.is_running,
  };
}

/** Rows before those that are held; the same where they do not join. */
export function prepended(held: Held, window: LogWindow): Held {
  if (window.inode !== held.inode || window.next !== held.first || window.rows.length === 0) return held;
  const lines = [...lined(window.rows, window.sgr, window.line ?? null), ...held.lines].slice(0, ROWS_MAX);
  const last = lines[lines.length - 1];
  return {
    ...held,
    lines,
    first: window.first,
    next: last ? last.row.o + last.row.n : held.next,
    replaced: held.replaced + window.replaced_bytes,
  };
}

/** Rows behind those that are held; the same where they do not join. */
export function appended(held: Held, window: LogWindow): Held {
  if (window.inode !== held.inode || window.first !== held.next || window.rows.length === 0) return held;
  return {
    ...trimmed([...held.lines, ...lined(window.rows, window.sgr, numberAfter(held))], held),
    size: window.size_bytes,
    count: window.lines ?? held.count,
    replaced: held.replaced + window.replaced_bytes,
  };
}

function numberAfter(held: Held): number | null {
  for (let at = held.lines.length - 1; at >= 0; at -= 1) {
    const line = held.lines[at];
    if (!line) break;
    if (line.number === null && at > 0 && !endsLine((held.lines[at - 1] as Line).row)) continue;
    if (line.number === null) return null;
    return line.number + held.lines.slice(at).filter((one) => endsLine(one.row)).length;
  }
  return held.first === 0 ? 1 : null;
}

function trimmed(lines: Line[], held: Held): Held {
  const kept = lines.slice(-ROWS_MAX);
  const first = kept[0];
  const last = kept[kept.length - 1];
  return { ...held, lines: kept, first: first?.row.o ?? held.first, next: last ? last.row.o + last.row.n : held.next };
}

/** What was printed since; rows of an unfinished line are replaced. */
export function followed(held: Held, event: FollowRows): Held {
  const from = event.replaces_from ?? null;
  const kept = event.skipped_bytes > 0 ? [] : from === null ? [...held.lines] : held.lines.filter((one) => one.row.o < from);
  const rest = { ...held, lines: kept };
  const before = kept[kept.length - 1];
  const sgr = before ? sgrAfter(before.sgr, before.row.t) : "";
  const number = event.skipped_bytes > 0 ? null : numberAfter(rest);
  const rows = event.rows.filter((row) => event.skipped_bytes > 0 || !before || row.o >= before.row.o + before.row.n);
  const next = trimmed([...kept, ...lined(rows, sgr, number, event.skipped_bytes)], rest);
  const added = rows.filter(endsLine).length;
  return { ...next, next: event.next, size: event.size_bytes, count: held.count === null || event.skipped_bytes > 0 ? null : held.count + added };
}

/** Where following begins: the beginning of a row that is unfinished, else the end of what is held. */
export function followFrom(held: Held): number {
  const last = held.lines[held.lines.length - 1];
  return last?.row.u ? last.row.o : held.next;
}
