import { useEffect, useRef, useState } from "react";

import { spool } from "../api/base";
import { client } from "../api/client";
import type { PlanRequest, Wire } from "../api/types";
import { useJob } from "../shell/job";
import type { PlannedScript } from "./Needs";
import type { ScriptIn } from "./scripts";

const TYPED_MS = 300;

export interface Read {
  found: readonly PlannedScript[];
  /** What is shown is of what was there before. */
  isOld: boolean;
  error: unknown;
}

/** What scripts ask for, 300 ms after the last change. */
export function useRead(scripts: readonly ScriptIn[], options: PlanRequest["options"]): Read {
  const job = useJob();
  const [read, setRead] = useState<Read>({ found: [], isOld: false, error: null });
  const optionsName = JSON.stringify(options);
  const isFirst = useRef(true);
  useEffect(() => {
    if (scripts.length === 0) {
      setRead({ found: [], isOld: false, error: null });
      return;
    }
    const stop = new AbortController();
    setRead((old) => ({ ...old, isOld: true }));
    const timer = setTimeout(
      () => {
        client.post<Wire<"ReadReply">>(spool(job, "read"), { scripts, options }, { signal: stop.signal }).then(
          (reply) => setRead({ found: reply.scripts, isOld: false, error: null }),
          (error: unknown) => {
            if (!stop.signal.aborted) setRead((old) => ({ ...old, isOld: false, error }));
          },
        );
      },
      isFirst.current ? 0 : TYPED_MS,
    );
    isFirst.current = false;
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [job, scripts, optionsName]);
  return read;
}
