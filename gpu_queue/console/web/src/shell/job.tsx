import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { createContext, useContext, useEffect, type ReactNode } from "react";

import { api } from "../api/base";
import { client } from "../api/client";
import type { SpoolList } from "../api/types";
import { readItem, writeItem } from "../ui/prefs";

const LAST = "gpuq.job";

/** The queues that this console shows, with their counts. */
export function useSpools() {
  return useQuery({
    queryKey: ["spools"],
    queryFn: ({ signal }) => client.get<SpoolList>(api("spools"), { signal }),
    refetchInterval: 15_000,
  });
}

/** Which queue is meant: the address says, else the last one used, else the console's own, else the only one. */
export function chooseJob(asked: string | undefined, last: string | null, list: SpoolList | undefined): string | null {
  if (asked !== undefined) return asked;
  if (!list) return null;
  const names = list.spools.map((one) => one.job);
  if (last !== null && names.includes(last)) return last;
  if (list.default !== null) return list.default;
  return names.length === 1 ? (names[0] ?? null) : null;
}

const JobContext = createContext<string | null>(null);

/** The name of the queue that the page is about. Only pages inside the shell may ask: they are shown when there is one. */
export function useJob(): string {
  const job = useContext(JobContext);
  if (job === null) throw new Error("useJob outside of a page that has a queue");
  return job;
}

/** The same for parts that are shown without one too. */
export function useChosenJob(): string | null {
  return useContext(JobContext);
}

export function JobProvider({ children }: { children: ReactNode }) {
  const { job: asked } = useSearch({ from: "__root__" });
  const spools = useSpools();
  const job = chooseJob(asked, readItem(LAST), spools.data);
  useEffect(() => {
    if (job !== null) writeItem(LAST, job);
  }, [job]);
  return <JobContext value={job}>{children}</JobContext>;
}
