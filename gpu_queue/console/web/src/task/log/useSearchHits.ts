import { useCallback, useEffect, useState } from "react";

import { client } from "../../api/client";
import { errorWords } from "../../api/said";
import { findAll, findNext, NO_HITS, type Ask, type Hits, type LogHits } from "./finding";

const TYPING_MS = 250;

export interface Search extends Hits {
  problem: string;
  /** The hit after (1) or before (-1) a byte; null: there is none. */
  next: (from: number, step: 1 | -1, size: number) => Promise<number | null>;
}

/** Searches the whole file while somebody types; `from`: the byte where a search begins, read when it does. */
export function useSearchHits(path: string, query: string, encoding: string, from: () => number): Search {
  const [found, setFound] = useState<{ query: string; hits: Hits; problem: string }>({ query: "", hits: NO_HITS, problem: "" });
  const isNothing = query.replaceAll("|", "") === "";
  const ask = useCallback(
    (signal?: AbortSignal): Ask =>
      (start, to, known) => client.get<LogHits>(`${path}/search`, { query: { q: query, encoding, from: start, to, known }, signal }),
    [path, query, encoding],
  );
  useEffect(() => {
    if (isNothing) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      findAll(ask(stop.signal), from(), (hits) => {
        if (!stop.signal.aborted) setFound({ query, hits, problem: "" });
      }).catch((error: unknown) => {
        if (stop.signal.aborted) return;
        setFound({ query, hits: NO_HITS, problem: errorWords(error) });
      });
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [ask, query, isNothing, from]);
  // What was found for other words is not shown for these.
  const now = isNothing ? NO_HITS : found.query === query ? found.hits : { ...NO_HITS, isDone: false };
  const next = useCallback((at: number, step: 1 | -1, size: number) => findNext(ask(), now, size, at, step), [ask, now]);
  return { ...now, problem: found.query === query && !isNothing ? found.problem : "", next };
}
