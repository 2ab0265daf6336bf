import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { Lane, Timeline } from "../api/types";
import { useLiving, useStore } from "../live/hooks";
import { useJob } from "../shell/job";
import { RANGE_S, type Range } from "./search";

const LEAST_MS = 5_000;

/** What each GPU did over a range that ends now; asked again when something has happened, at most each 5 s. */
export function useTimeline(range: Range, isOn = true) {
  const job = useJob();
  const store = useStore();
  const queries = useQueryClient();
  const events = useLiving("versions")?.events;
  const last_ms = useRef(0);
  const query = useQuery({
    queryKey: ["timeline", job, range],
    enabled: isOn && events !== undefined,
    refetchInterval: 60_000,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => {
      last_ms.current = performance.now();
      const to = Math.floor(store.now_s());
      return client.get<Timeline>(spool(job, "timeline"), { query: { from: to - RANGE_S[range], to }, signal });
    },
  });
  useEffect(() => {
    if (events === undefined || last_ms.current === 0) return;
    const wait_ms = Math.max(500, LEAST_MS - (performance.now() - last_ms.current));
    const timer = setTimeout(() => void queries.invalidateQueries({ queryKey: ["timeline", job] }), wait_ms);
    return () => clearTimeout(timer);
  }, [events, job, queries]);
  const lanes = useMemo(() => new Map<string, Lane>((query.data?.lanes ?? []).map((lane) => [lane.gpu, lane])), [query.data]);
  return { lanes, timeline: query.data, error: query.error };
}
