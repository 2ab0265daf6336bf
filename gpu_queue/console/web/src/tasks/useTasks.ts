import { useEffect, useMemo, useSyncExternalStore } from "react";

import type { TaskFilter, Versions } from "../api/types";
import { useLiving } from "../live/hooks";
import { useJob } from "../shell/job";
import { TaskWindows, type Sort, type Wanted } from "./windows";

const REASONS_S = 5;

/** What a list is made of: it is fetched again when this moves. */
function mark(versions: Versions | undefined, state: TaskFilter["state"]): string {
  if (!versions) return "";
  const { waiting, running, done, failed } = versions;
  switch (state) {
    case "waiting":
      return `${waiting}`;
    case "running":
      return `${running}`;
    case "done":
      return `${done}`;
    case "failed":
      return `${failed}`;
    case "all":
      return [waiting, running, done, failed].join(" ");
    default:
      return [waiting, running].join(" ");
  }
}

/** A list of tasks; another filter is another list. */
export function useTaskWindows(filter: TaskFilter, sort: Sort): TaskWindows {
  const job = useJob();
  const versions = useLiving("versions");
  const name = JSON.stringify([filter, sort]);
  const windows = useMemo(() => new TaskWindows(job, { filter, sort } satisfies Wanted), [job, name]);
  useEffect(() => {
    windows.open();
    return () => windows.close();
  }, [windows]);

  const moved = mark(versions, filter.state);
  useEffect(() => {
    if (moved !== "") windows.moved();
  }, [windows, moved]);
  // Why tasks wait stands in the files of nodes, which change all the time: it is looked at now and then.
  const nodes = versions?.nodes ?? 0;
  const isWaiting = filter.state === "now" || filter.state === "waiting" || filter.state === "all";
  useEffect(() => {
    if (!isWaiting) return;
    const timer = setTimeout(() => windows.moved(), REASONS_S * 1000);
    return () => clearTimeout(timer);
  }, [windows, isWaiting, Math.floor(nodes / 4)]);

  useSyncExternalStore(windows.subscribe, () => windows.version);
  return windows;
}
