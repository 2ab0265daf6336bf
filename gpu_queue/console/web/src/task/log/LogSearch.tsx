import { useLingui } from "@lingui/react/macro";
import type { Ref } from "react";

import { IconButton } from "../../ui/Button";
import { thousands } from "../../ui/format";
import styles from "./LogView.module.css";
import type { Search } from "./useSearchHits";

export interface LogSearchProps {
  ref: Ref<HTMLInputElement>;
  query: string;
  search: Search;
  /** The hit that is gone to; null: none yet. */
  current: number | null;
  onQuery: (query: string) => void;
  onStep: (step: 1 | -1) => void;
  onLeave: () => void;
}

/** The field for words, what was found, and the way from hit to hit. */
export function LogSearch({ ref, query, search, current, onQuery, onStep, onLeave }: LogSearchProps) {
  const { t } = useLingui();
  const { count, offsets, isDone, problem } = search;
  // Which one it is can be said where all are known by place.
  const at = isDone && current !== null && offsets.length === count ? offsets.indexOf(current) + 1 : 0;
  const words = (): string => {
    if (query === "") return "";
    if (problem !== "") return problem;
    if (!isDone) return t`${thousands(count)} found so far …`;
    if (count === 0) return t`not found`;
    return at > 0 ? t`${thousands(at)} of ${thousands(count)}` : t`${thousands(count)} found`;
  };
  return (
    <div role="search" className={styles["searchBox"]}>
      <input
        ref={ref}
        type="search"
        className={styles["search"]}
        placeholder={t`Search the whole log (Ctrl F)`}
        aria-label={t`Search the whole log`}
        title={t`Capitals count where one is typed; a|b finds either`}
        value={query}
        maxLength={500}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => onQuery(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            event.preventDefault();
            onStep(event.shiftKey ? -1 : 1);
          } else if (event.key === "Escape") {
            event.preventDefault();
            onLeave();
          }
        }}
      />
      <span className={styles["found"]} role="status">
        {words()}
      </span>
      {count > 0 && (
        <>
          <IconButton label={t`previous hit`} onClick={() => onStep(-1)}>
            ‹
          </IconButton>
          <IconButton label={t`next hit`} onClick={() => onStep(1)}>
            ›
          </IconButton>
        </>
      )}
    </div>
  );
}
