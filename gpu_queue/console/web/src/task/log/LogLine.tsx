import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { memo, useState } from "react";

import { cx } from "../../ui/cx";
import { fileSize, thousands } from "../../ui/format";
import { marked, pieces, type Words } from "./ansi";
import styles from "./LogView.module.css";
import type { Line } from "./model";

export interface LogLineProps {
  line: Line;
  words: Words | null;
  /** The address of this row. */
  href: string;
  isTarget: boolean;
  hasNumbers: boolean;
  /** All updates of the row, and all of its text. */
  whole: (offset: number) => Promise<string>;
}

function Text({ text, sgr, words }: { text: string; sgr: string; words: Words | null }) {
  return (
    <>
      {marked(pieces(text, sgr), words).map((piece, at) => {
        const style = piece.color || piece.background ? { color: piece.color ?? undefined, background: piece.background ?? undefined } : undefined;
        if (piece.isHit)
          return (
            <mark key={at} className={piece.classes} style={piece.color ? { color: piece.color } : undefined}>
              {piece.text}
            </mark>
          );
        return piece.classes || style ? (
          <span key={at} className={piece.classes} style={style}>
            {piece.text}
          </span>
        ) : (
          piece.text
        );
      })}
    </>
  );
}

/** One row of a log. Its number is a link to it. */
export const LogLine = memo(function LogLine({ line, words, href, isTarget, hasNumbers, whole }: LogLineProps) {
  const { t } = useLingui();
  const { row, number, gap } = line;
  const [all, setAll] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const open = (): void => {
    whole(row.o).then(setAll, (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
  };
  const size = fileSize(gap);
  return (
    <>
      {gap > 0 && (
        <div className={styles["gap"]}>
          <Trans>{size} were left out here: they came too fast to be shown.</Trans>
        </div>
      )}
      <div className={cx(styles["line"], isTarget && styles["target"])} data-o={row.o}>
        {hasNumbers && (
          <a className={styles["number"]} href={href} data-number={number === null ? "" : thousands(number)} aria-label={number === null ? t`this row` : t`line ${thousands(number)}`} />
        )}
        <span className={styles["text"]}>
          {all === null ? <Text text={row.t} sgr={line.sgr} words={words} /> : all.split("\n").map((one, at) => (
            <span key={at} className={styles["update"]}>
              <Text text={one} sgr={line.sgr} words={words} />
            </span>
          ))}
          {all === null && row.r > 0 && (
            <button type="button" className={styles["more"]} onClick={open}>
              <Plural value={row.r} one="# update" other="# updates" />
            </button>
          )}
          {all === null && row.c > 0 && (
            <button type="button" className={styles["more"]} onClick={open}>
              {t`${fileSize(row.c)} more`}
            </button>
          )}
          {problem !== "" && <span className={styles["problem"]}>{problem}</span>}
          {"\n"}
        </span>
      </div>
    </>
  );
});
