/** A line of a comparison: in both texts, only in the old one, only in the new one; or so many equal lines left out. */
export type DiffRow =
  | { kind: "same" | "old" | "new"; text: string; old: number | null; new: number | null }
  | { kind: "gap"; lines: number };

const CELLS_MAX = 4_000_000;
const AROUND = 2;

/** Which lines of `a` and `b` are the same, in order: the longest such row of pairs. */
function pairs(a: readonly string[], b: readonly string[]): [number, number][] {
  // What is too long for a table is told as replaced whole.
  if ((a.length + 1) * (b.length + 1) > CELLS_MAX) return [];
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => longest[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      longest[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const found: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) found.push([i++, j++]);
    else if (at(i + 1, j) >= at(i, j + 1)) i += 1;
    else j += 1;
  }
  return found;
}

/** All lines of two texts, each once. */
function rows(old: readonly string[], next: readonly string[]): Exclude<DiffRow, { kind: "gap" }>[] {
  let head = 0;
  while (head < old.length && head < next.length && old[head] === next[head]) head += 1;
  let tail = 0;
  const most = Math.min(old.length, next.length) - head;
  while (tail < most && old[old.length - 1 - tail] === next[next.length - 1 - tail]) tail += 1;
  const middle = pairs(old.slice(head, old.length - tail), next.slice(head, next.length - tail)).map(([i, j]) => [i + head, j + head] as const);
  const ends = Array.from({ length: tail }, (_, at) => [old.length - tail + at, next.length - tail + at] as const);
  const same = [...Array.from({ length: head }, (_, at) => [at, at] as const), ...middle, ...ends, [old.length, next.length] as const];
  const found: Exclude<DiffRow, { kind: "gap" }>[] = [];
  let i = 0;
  let j = 0;
  for (const [toOld, toNew] of same) {
    for (; i < toOld; i += 1) found.push({ kind: "old", text: old[i] ?? "", old: i + 1, new: null });
    for (; j < toNew; j += 1) found.push({ kind: "new", text: next[j] ?? "", old: null, new: j + 1 });
    if (i < old.length && j < next.length) {
      found.push({ kind: "same", text: old[i] ?? "", old: i + 1, new: j + 1 });
      i += 1;
      j += 1;
    }
  }
  return found;
}

/** What was changed, with two equal lines around each change. */
export function diff(old: string, next: string): DiffRow[] {
  const all = rows(old.split("\n"), next.split("\n"));
  const isNear = all.map((_, at) => all.slice(Math.max(0, at - AROUND), at + AROUND + 1).some((one) => one.kind !== "same"));
  const shown: DiffRow[] = [];
  all.forEach((row, at) => {
    if (isNear[at]) shown.push(row);
    else {
      const last = shown.at(-1);
      if (last?.kind === "gap") last.lines += 1;
      else shown.push({ kind: "gap", lines: 1 });
    }
  });
  return shown;
}
