import { useQuery } from "@tanstack/react-query";

import { api } from "../api/base";
import { client } from "../api/client";
import type { ConsoleInfo } from "../api/types";

/** What this console is, and what this browser may do with it. */
export function useConsoleInfo() {
  return useQuery({
    queryKey: ["console"],
    queryFn: ({ signal }) => client.get<ConsoleInfo>(api("console"), { signal }),
    staleTime: 60_000,
  });
}

/** Whether it was started to show and change nothing; null: not known yet. */
export function useIsReadOnly(): boolean | null {
  const { data, isPending } = useConsoleInfo();
  return isPending ? null : (data?.is_read_only ?? false);
}
