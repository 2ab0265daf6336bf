import { useQuery, useQueryClient } from "@tanstack/react-query";

import { useJob } from "../shell/job";
import type { Which } from "./names";
import { files, type Jobfile } from "./requests";

const LOOK_MS = 4000;

/** The job files of the queue; looked at anew every four seconds while the page is in sight. */
export function useFileList() {
  const job = useJob();
  return useQuery({ queryKey: ["jobfiles", job], queryFn: ({ signal }) => files.list(job, signal), refetchInterval: LOOK_MS });
}

/** One of them, whole. */
export function useFile(which: Which) {
  const job = useJob();
  return useQuery({
    queryKey: ["jobfile", job, which.mode, which.index],
    queryFn: ({ signal }) => files.read(job, which, signal),
    staleTime: Infinity,
    gcTime: 0,
  });
}

/** Tells what was changed here, so that nothing is shown as it was. */
export function useRefresh() {
  const job = useJob();
  const queries = useQueryClient();
  return {
    list: (): void => void queries.invalidateQueries({ queryKey: ["jobfiles", job] }),
    file: ({ mode, index }: Which): void => void queries.invalidateQueries({ queryKey: ["jobfile", job, mode, index] }),
    saved: ({ mode, index }: Which, change: Pick<Jobfile, "text" | "etag"> & Partial<Jobfile>): void => {
      queries.setQueryData<Jobfile>(["jobfile", job, mode, index], (old) => (old ? { ...old, ...change } : old));
      void queries.invalidateQueries({ queryKey: ["jobfiles", job] });
    },
  };
}
