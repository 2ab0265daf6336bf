import { useEffect, useState } from "react";

import { client } from "../../api/client";
import type { Wire } from "../../api/types";

type LogHits = Wire<"LogHits">;

export interface Hits {
  /** Of hits that are known by place, ascending. */
  offsets: readonly number[];
  count: number;
  bins: readonly number[];
  isDone: boolean;
  problem: string;
}

const NONE: Hits = { offsets: [], count: 0, bins: [], isDone: true, problem: "" };
const TYPING_MS = 250;

/**
 * Searches the whole file on the server, a slice at a time: from what is on screen to the end, then from the start.
 * `from` is read when a search begins.
 */
export function useSearchHits(path: string, query: string, encoding: string, from: () => number): Hits {
  const [hits, setHits] = useState<Hits>(NONE);
  useEffect(() => {
    if (query === "" || query.replaceAll("|", "") === "") {
      setHits(NONE);
      return;
    }
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      const begin = from();
      let now: Hits = { offsets: [], count: 0, bins: [], isDone: false, problem: "" };
      setHits(now);
      const parts: [number, number | null][] = begin > 0 ? [[begin, null], [0, begin]] : [[0, null]];
      for (const [start, to] of parts) {
        let at: number | null = start;
        while (at !== null) {
          const asked = { q: query, encoding, from: at, to, known: now.offsets.length };
          const found: LogHits = await client.get<LogHits>(`${path}/search`, { query: asked, signal: stop.signal });
          now = {
            ...now,
            offsets: [...now.offsets, ...found.offsets].sort((a, b) => a - b),
            count: now.count + found.count,
            bins: found.bins.map((one, bin) => one + (now.bins[bin] ?? 0)),
          };
          setHits(now);
          at = found.next ?? null;
        }
      }
      setHits({ ...now, isDone: true });
    };
    const timer = window.setTimeout(() => {
      run().catch((error: unknown) => {
        if (!stop.signal.aborted) setHits({ ...NONE, problem: error instanceof Error ? error.message : String(error) });
      });
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [path, query, encoding]);
  return hits;
}
