import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { Wire } from "../api/types";
import { useLiving } from "../live/hooks";
import { useJob } from "../shell/job";

export type Summary = Wire<"BatchSummary">;
export type Detail = Wire<"BatchDetail">;
export type Run = Wire<"BatchRun">;

const UNREAD_MS = 1_000;
const REFRESH_MS = 15_000;

/** What changes when a task goes from one directory to another. */
function useVersion(): string {
  const versions = useLiving("versions");
  return versions ? `${versions.waiting}.${versions.running}.${versions.done}.${versions.failed}` : "";
}

function pace(unread: number | undefined): number {
  return unread ? UNREAD_MS : REFRESH_MS;
}

/** All batches of a queue. */
export function useBatches(isOn = true) {
  const job = useJob();
  return useQuery({
    queryKey: ["batches", job],
    enabled: isOn,
    queryFn: ({ signal }) => client.get<Wire<"BatchList">>(spool(job, "batches"), { signal }),
    refetchInterval: ({ state }) => pace(state.data?.unread),
  });
}

/** One in full, asked for again when something of it may have changed. */
export function useBatch(key: string) {
  const job = useJob();
  const version = useVersion();
  return useQuery({
    queryKey: ["batch", job, key, version],
    queryFn: ({ signal }) => client.get<Detail>(spool(job, "batches", key), { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) => pace(state.data?.unread),
    retry: 1,
  });
}

/** The batch of a task; asked for where its record says that it is of one. */
export function useBatchOf(task: string, isOn: boolean) {
  const job = useJob();
  return useQuery({
    queryKey: ["batch of", job, task],
    enabled: isOn,
    queryFn: ({ signal }) => client.get<Wire<"BatchPlace">>(spool(job, "batches", "of"), { query: { task }, signal }),
    refetchInterval: ({ state }) => (state.data?.batch === null && state.data.unread > 0 ? UNREAD_MS : REFRESH_MS),
  });
}
