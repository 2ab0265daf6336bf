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
const endOf = (line: Line): number => line.row.o + line.row.n;

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
    next: last ? endOf(last) : held.next,
    replaced: held.replaced + window.replaced_bytes,
  };
}

/** Rows behind those that are held; the same where they do not join. */
export function appended(held: Held, window: LogWindow): Held {
  if (window.inode !== held.inode || window.first !== held.next || window.rows.length === 0) return held;
  return {
    ...trimmed([...held.lines, ...lined(window.rows, window.sgr, window.line ?? numberAfter(held))], held),
    size: window.size_bytes,
    count: window.lines ?? held.count,
    replaced: held.replaced + window.replaced_bytes,
  };
}

/** The same rows with their numbers, now that lines are counted. */
export function numbered(held: Held, window: LogWindow): Held {
  if (window.inode !== held.inode || window.first !== held.first || window.line == null) return held;
  let number = window.line;
  let isNew = true;
  const lines = held.lines.map((line) => {
    const now = isNew ? number : null;
    isNew = endsLine(line.row);
    if (isNew) number += 1;
    return now === line.number ? line : { ...line, number: now };
  });
  return { ...held, lines, count: window.lines ?? held.count };
}

function numberAfter(held: Held): number | null {
  let ended = 0;
  for (let at = held.lines.length - 1; at >= 0; at -= 1) {
    const line = held.lines[at] as Line;
    if (endsLine(line.row)) ended += 1;
    const before = held.lines[at - 1];
    if (line.number !== null) return line.number + ended;
    if (!before || endsLine(before.row)) return null;
  }
  return held.first === 0 ? 1 : null;
}

function trimmed(lines: Line[], held: Held): Held {
  const kept = lines.slice(-ROWS_MAX);
  const first = kept[0];
  const last = kept[kept.length - 1];
  return { ...held, lines: kept, first: first?.row.o ?? held.first, next: last ? endOf(last) : held.next };
}

/** What was printed since; rows of an unfinished line are replaced. */
export function followed(held: Held, event: FollowRows): Held {
  const begins = event.rows[0]?.o ?? event.next;
  const from = Math.min(event.replaces_from ?? begins, begins);
  const before = held.lines.filter((one) => one.row.o < from);
  const last = before[before.length - 1];
  // Rows that do not join what is held stand alone: nothing may look as if it followed what it does not follow.
  const joins = event.skipped_bytes === 0 && (last ? endOf(last) === begins : begins === held.first || held.lines.length === 0);
  const kept = joins ? before : [];
  const gap = joins ? 0 : Math.max(event.skipped_bytes, begins - held.next, 0);
  const rest = { ...held, lines: kept, ...(joins ? {} : { first: begins }) };
  const sgr = joins && last ? sgrAfter(last.sgr, last.row.t) : "";
  const number = joins ? numberAfter(rest) : begins === 0 ? 1 : null;
  const next = trimmed([...kept, ...lined(event.rows, sgr, number, gap)], rest);
  const isKnown = held.count !== null && joins;
  const gone = held.lines.slice(before.length).filter((one) => endsLine(one.row)).length;
  const count = isKnown ? (held.count ?? 0) + event.rows.filter((row) => endsLine(row)).length - gone : null;
  return { ...next, next: event.next, size: event.size_bytes, count };
}

/** Where following begins: the beginning of a row that is unfinished, else the end of what is held. */
export function followFrom(held: Held): number {
  const last = held.lines[held.lines.length - 1];
  return last?.row.u ? last.row.o : held.next;
}
