import { useState } from "react";

import { readItem, writeItem } from "../ui/prefs";

const KEY = "gpuq.hidden";
const DAY_MS = 86_400_000;

function read(now_ms: number): Map<string, number> {
  try {
    const kept: unknown = JSON.parse(readItem(KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return new Map();
    return new Map(Object.entries(kept).filter((one): one is [string, number] => typeof one[1] === "number" && one[1] > now_ms));
  } catch {
    return new Map();
  }
}

/** What this browser does not want to see for a day. */
export function useHidden(): { isHidden: (id: string) => boolean; hide: (id: string) => void; showAll: () => void; count: number } {
  const [hidden, setHidden] = useState(() => read(Date.now()));
  const keep = (next: Map<string, number>): void => {
    writeItem(KEY, next.size > 0 ? JSON.stringify(Object.fromEntries(next)) : null);
    setHidden(next);
  };
  return {
    isHidden: (id) => (hidden.get(id) ?? 0) > Date.now(),
    hide: (id) => keep(new Map(read(Date.now())).set(id, Date.now() + DAY_MS)),
    showAll: () => keep(new Map()),
    count: hidden.size,
  };
}
