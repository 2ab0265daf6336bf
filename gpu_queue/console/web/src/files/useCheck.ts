import { useEffect, useRef, useState } from "react";

import { useJob } from "../shell/job";
import type { Which } from "./names";
import { files, type Checked, type Jobfile } from "./requests";

const TYPED_MS = 300;

export interface Check {
  found: Checked;
  /** What is told is of the text as it was before. */
  isOld: boolean;
  error: unknown;
}

/** What a text says, by the parser that loads it: 300 ms after the last change; queues are looked at anew with `turn`. */
export function useCheck(file: Jobfile, which: Which, text: string, turn: unknown): Check {
  const job = useJob();
  const [found, setFound] = useState<{ text: string; checked: Checked; error: unknown }>({ text: file.text, checked: file, error: null });
  const { mode, index } = which;
  const known = useRef({ text: file.text, turn });
  useEffect(() => {
    if (known.current.text === text && known.current.turn === turn) return;
    const isTyped = known.current.text !== text;
    const stop = new AbortController();
    const timer = setTimeout(
      () => {
        files.check(job, { mode, index }, text, stop.signal).then(
          (checked) => {
            known.current = { text, turn };
            setFound({ text, checked, error: null });
          },
          (error: unknown) => {
            if (!stop.signal.aborted) setFound((old) => ({ ...old, error }));
          },
        );
      },
      isTyped ? TYPED_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [job, mode, index, text, turn]);
  return { found: found.checked, isOld: found.text !== text, error: found.error };
}
