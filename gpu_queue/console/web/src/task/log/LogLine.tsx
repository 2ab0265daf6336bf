import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { memo, useEffect, useState } from "react";

import { errorWords } from "../../api/said";
import { cx } from "../../ui/cx";
import { fileSize, thousands } from "../../ui/format";
import { hitsIn, marked, pieces, styleOf, visible, type Words } from "./ansi";
import styles from "./LogView.module.css";
import type { Line } from "./model";

export interface LogLineProps {
  line: Line;
  words: Words | null;
  /** The address of a row, but for its offset. */
  href: string;
  isTarget: boolean;
  /** Somebody looks for a hit in it: it is opened if the hit is in what is hidden. */
  isSought: boolean;
  /** All updates of the row, and all of its text. */
  whole: (offset: number) => Promise<string>;
  /** Shows the rows around a byte. */
  goTo: (offset: number) => void;
}

function Text({ text, sgr, words }: { text: string; sgr: string; words: Words | null }) {
  return (
    <>
      {marked(pieces(text, sgr), words).map((piece, at) => {
        const style = styleOf(piece);
        if (piece.hit !== undefined)
          return (
            <mark key={at} className={piece.classes} data-hit={piece.hit}>
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
export const LogLine = memo(function LogLine({ line, words, href, isTarget, isSought, whole, goTo }: LogLineProps) {
  const { t } = useLingui();
  const { row, number, gap } = line;
  const [all, setAll] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const hides = row.r > 0 || row.c > 0;
  const open = (): void => {
    setProblem("");
    whole(row.o).then(setAll, (error: unknown) => setProblem(errorWords(error)));
  };
  const opensItself = isSought && hides && all === null && words !== null && hitsIn(visible(row.t), words).length === 0;
  useEffect(() => {
    if (opensItself) open();
  }, [opensItself]);
  const size = fileSize(gap);
  const more = fileSize(row.c);
  return (
    <div data-o={row.o} className={cx(styles["row"], isTarget && styles["target"])}>
      {gap > 0 && (
        <div className={styles["gap"]}>
          <Trans>{size} came too fast to be shown.</Trans>{" "}
          <button type="button" className={styles["more"]} onClick={() => goTo(row.o - gap)}>
            <Trans>Show what was left out</Trans>
          </button>
        </div>
      )}
      <div className={styles["line"]}>
        <a
          className={styles["number"]}
          href={href + String(row.o)}
          data-line={row.o}
          data-number={number === null ? "" : thousands(number)}
          aria-label={number === null ? t`this row` : t`line ${thousands(number)}`}
          tabIndex={-1}
        />
        <span className={styles["text"]}>
          {all === null ? (
            <Text text={row.t} sgr={line.sgr} words={words} />
          ) : (
            all.split("\n").map((one, at) => (
              <span key={at} className={styles["update"]}>
                <Text text={one} sgr={line.sgr} words={words} />
              </span>
            ))
          )}
          {all === null && row.r > 0 && (
            <button type="button" className={styles["more"]} onClick={open}>
              <Plural value={row.r} one="# update" other="# updates" />
            </button>
          )}
          {all === null && row.c > 0 && (
            <button type="button" className={styles["more"]} onClick={open}>
              <Trans>{more} more</Trans>
            </button>
          )}
          {problem !== "" && <span className={styles["problem"]}>{problem}</span>}
          {"\n"}
        </span>
      </div>
    </div>
  );
});
