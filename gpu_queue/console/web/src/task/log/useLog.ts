import { useEffect, useMemo, useSyncExternalStore } from "react";

import { client } from "../../api/client";
import type { Wire } from "../../api/types";
import { readEvents } from "../../live/sse";
import type { FollowRows, LogWindow } from "./model";
import { LogReader, type LogSource, type LogState, type Surroundings } from "./reader";

/** Until the tab is seen, or it is given up. */
function seen(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.visibilityState === "hidden" && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}

async function whileSeen(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const look = (): void => {
    if (document.visibilityState === "hidden" || signal.aborted) stop.abort();
  };
  document.addEventListener("visibilitychange", look);
  signal.addEventListener("abort", look);
  try {
    await work(stop.signal);
  } finally {
    document.removeEventListener("visibilitychange", look);
    signal.removeEventListener("abort", look);
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

const SURROUNDINGS: Surroundings = { wait, seen, whileSeen };

function sourceOf(path: string, encoding: string): LogSource {
  return {
    window: (query, signal) => client.get<LogWindow>(`${path}/window`, { query: { ...query, encoding }, signal }),
    follow: async (after, signal, hear) => {
      const reply = await client.stream(`${path}/follow`, { query: { after, encoding }, signal });
      await readEvents(reply, (event) => {
        if (event.event === "rows") hear({ rows: JSON.parse(event.data) as FollowRows });
        else if (event.event === "state") hear({ state: JSON.parse(event.data) as Wire<"FollowState"> });
      });
    },
  };
}

/** A log as it is read. Another path or encoding: another reader, which nothing was asked of yet. */
export function useLog(path: string, encoding: string): [LogState, LogReader] {
  const reader = useMemo(() => new LogReader(sourceOf(path, encoding), SURROUNDINGS), [path, encoding]);
  useEffect(() => {
    reader.open();
    return () => reader.close();
  }, [reader]);
  return [useSyncExternalStore(reader.subscribe, reader.read), reader];
}
