import { useCallback, useEffect, useRef, useState } from "react";

import { useJob } from "../shell/job";
import { keepText, keptText } from "./kept";
import type { Which } from "./names";
import type { Jobfile } from "./requests";

const KEEP_MS = 400;

/** The text on the disk that was changed here. */
export interface Base {
  text: string;
  etag: string;
}

export interface Editing {
  text: string;
  base: Base;
  isDirty: boolean;
  /** When changes were left that are taken up here; null: there were none. */
  keptAt_ms: number | null;
  change: (text: string) => void;
  /** The text on the disk is another one now: that of the editor, or somebody else's. */
  rebase: (base: Base) => void;
  /** Takes a text from the disk, in place of what was typed. */
  take: (base: Base) => void;
}

/** A text that somebody changes. Until it is saved it is kept in this browser; closing the window asks first. */
export function useEditing(file: Jobfile, which: Which): Editing {
  const job = useJob();
  const [kept, setKept] = useState(() => {
    const found = keptText(job, which);
    return found !== null && found.text !== file.text ? found : null;
  });
  const [base, setBase] = useState<Base>(() =>
    // Changes of a text that is another one by now: saving tells of the conflict.
    kept !== null && kept.etag !== file.etag ? { text: file.text, etag: kept.etag } : { text: file.text, etag: file.etag },
  );
  const [text, setText] = useState(kept?.text ?? file.text);
  const isDirty = text !== base.text;

  const latest = useRef({ text, etag: base.etag, isDirty });
  latest.current = { text, etag: base.etag, isDirty };
  const { mode, index } = which;
  const keep = useCallback((): void => {
    const { text: typed, etag, isDirty: isUnsaved } = latest.current;
    keepText(job, { mode, index }, isUnsaved ? { text: typed, etag, at_ms: Date.now() } : null);
  }, [job, mode, index]);
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    const timer = setTimeout(keep, KEEP_MS);
    return () => clearTimeout(timer);
  }, [text, base, keep]);
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent): void => {
      if (!latest.current.isDirty) return;
      keep();
      event.preventDefault();
    };
    window.addEventListener("beforeunload", ask);
    return () => {
      window.removeEventListener("beforeunload", ask);
      if (latest.current.isDirty) keep();
    };
  }, [keep]);

  return {
    text,
    base,
    isDirty,
    keptAt_ms: kept?.at_ms ?? null,
    change: setText,
    rebase: (next) => {
      setBase(next);
      setKept(null);
    },
    take: (next) => {
      setBase(next);
      setText(next.text);
      setKept(null);
    },
  };
}
