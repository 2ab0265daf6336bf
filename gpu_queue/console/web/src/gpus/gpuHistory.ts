import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { History } from "../api/types";
import { useStore } from "../live/hooks";
import { useJob } from "../shell/job";
import { RANGE_S, type Range } from "./search";

/** Seconds of one point: some hundred points a range, for more are not seen. */
const STEP_S: Record<Range, number> = { "1h": 60, "6h": 60, "1d": 300, "7d": 1800 };

/** Samples of one GPU over a range that ends now. */
export function useGpuHistory(gpu: string, range: Range) {
  const job = useJob();
  const store = useStore();
  return useQuery({
    queryKey: ["history", job, gpu, range],
    refetchInterval: 60_000,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => {
      const to = Math.floor(store.now_s());
      const query = { gpu, from: to - RANGE_S[range], to, step: STEP_S[range] };
      return client.get<History>(spool(job, "history"), { query, signal });
    },
  });
}
