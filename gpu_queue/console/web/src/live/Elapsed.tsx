import { duration, durationShort } from "../ui/format";
import { useNow } from "./hooks";

export interface ElapsedProps {
  /** The moment from which it is counted; null: `–`. */
  since_s: number | null | undefined;
  /** The largest unit alone. */
  short?: boolean;
}

/** How long it is since then; it counts on by itself. */
export function Elapsed({ since_s, short }: ElapsedProps) {
  const now_s = useNow(1);
  const seconds = since_s === null || since_s === undefined ? null : now_s - since_s;
  return <>{short ? durationShort(seconds) : duration(seconds)}</>;
}

/** How long it is until then. */
export function Remaining({ until_s, short }: { until_s: number | null | undefined; short?: boolean }) {
  const now_s = useNow(1);
  const seconds = until_s === null || until_s === undefined ? null : until_s - now_s;
  return <>{short ? durationShort(seconds) : duration(seconds)}</>;
}
