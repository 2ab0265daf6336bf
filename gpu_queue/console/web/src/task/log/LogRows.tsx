import { memo, type MouseEvent, type Ref } from "react";

import type { Words } from "./ansi";
import { LogLine } from "./LogLine";
import styles from "./LogView.module.css";
import type { Line } from "./model";

export interface LogRowsProps {
  ref: Ref<HTMLDivElement>;
  lines: readonly Line[];
  words: Words | null;
  href: string;
  /** A byte that is pointed at. */
  target: number | null;
  isSought: boolean;
  whole: (offset: number) => Promise<string>;
  goTo: (offset: number) => void;
  /** A row is to be the one that the address names. */
  onAddress: (offset: number) => void;
}

/** The rows themselves: drawn anew only where one has changed. */
export const LogRows = memo(function LogRows({ ref, lines, words, href, target, isSought, whole, goTo, onAddress }: LogRowsProps) {
  const onClick = (event: MouseEvent<HTMLDivElement>): void => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest<HTMLElement>("a[data-line]") : null;
    if (!link) return;
    event.preventDefault();
    onAddress(Number(link.dataset["line"]));
  };
  return (
    <div ref={ref} className={styles["rows"]} onClick={onClick}>
      {lines.map((line) => {
        const isTarget = target !== null && target >= line.row.o && target < line.row.o + Math.max(1, line.row.n);
        return (
          <LogLine
            key={line.row.o}
            line={line}
            words={words}
            href={href}
            isTarget={isTarget}
            isSought={isTarget && isSought}
            whole={whole}
            goTo={goTo}
          />
        );
      })}
    </div>
  );
});
