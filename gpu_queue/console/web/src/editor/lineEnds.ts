/**
 * How the lines of a text end. Only where all of them end in `\r\n` is that taken as the end of a line; else it is
 * `\n`, and a `\r` is a character that is shown and kept. So what was not typed over is written as it was read.
 */
export function lineEnd(text: string): "\n" | "\r\n" {
  return /\r\n/.test(text) && !/(^|[^\r])\n|\r(?!\n)/.test(text) ? "\r\n" : "\n";
}

/** The least change that makes one text of another: what is before and after it, the cursor's place too, stays. */
export function leastChange(old: string, next: string): { from: number; to: number; insert: string } {
  const most = Math.min(old.length, next.length);
  let from = 0;
  while (from < most && old.charCodeAt(from) === next.charCodeAt(from)) from += 1;
  let back = 0;
  while (back < most - from && old.charCodeAt(old.length - 1 - back) === next.charCodeAt(next.length - 1 - back)) back += 1;
  return { from, to: old.length - back, insert: next.slice(from, next.length - back) };
}
