import type { Detail, Run } from "./batches";

/** What a column is sorted by; null comes last in any direction. */
function valueOf(run: Run, column: string): string | number | null {
  if (column.startsWith("p")) {
    const place = Number(column.slice(1));
    if (Number.isInteger(place)) return run.params[place] ?? null;
  }
  switch (column) {
    case "name":
      return run.name;
    case "state":
      return `${run.state} ${run.error_type}`;
    case "tries":
      return run.tries;
    case "waited":
      return run.waited_s ?? null;
    case "ran":
      return run.ran_s ?? null;
    case "gpus":
      return run.gpus ?? null;
    case "gpu_h":
      return run.gpu_s ?? null;
    case "peak":
      return run.memory_peak_bytes ?? null;
    case "util":
      return run.utilization_percent ?? null;
    case "node":
      return run.node || null;
    default:
      return null;
  }
}

/** Numbers by their size, also in texts: `1e-5` before `3e-4`, `seed2` before `seed10`. */
function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [Number(a), Number(b)];
  if (a !== "" && b !== "" && Number.isFinite(x) && Number.isFinite(y)) return x - y;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

/** Runs that are wanted, in the order that is wanted; without one in that of the batch. */
export function chosen(runs: readonly Run[], sort: string | undefined, state: string | undefined, q: string): readonly Run[] {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (run: Run): string => [run.name, ...run.params, run.error_type, run.short, run.queue].join(" ").toLowerCase();
  const wanted = runs.filter((run) => (state === undefined || run.state === state) && words.every((word) => text(run).includes(word)));
  if (sort === undefined) return wanted;
  const isDown = sort.startsWith("-");
  const column = isDown ? sort.slice(1) : sort;
  return wanted.toSorted((one, other) => {
    const [a, b] = [valueOf(one, column), valueOf(other, column)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return isDown ? compare(b, a) : compare(a, b);
  });
}

/** Columns of which nothing is known are left out. */
export function knownColumns({ runs }: Detail): ReadonlySet<string> {
  const found = new Set(["name", "state", "tries"]);
  for (const column of ["waited", "ran", "gpus", "gpu_h", "peak", "util", "node"]) {
    if (runs.some((run) => valueOf(run, column) !== null)) found.add(column);
  }
  if (runs.some((run) => run.memory_asked_bytes != null)) found.add("peak");
  return found;
}
