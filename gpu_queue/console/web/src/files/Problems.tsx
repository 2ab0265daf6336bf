import { Plural, Trans, useLingui } from "@lingui/react/macro";

import { StateShape } from "../ui/StateShape";
import styles from "./Problems.module.css";
import type { FileProblem } from "./requests";

export interface ProblemsProps {
  id: string;
  problems: readonly FileProblem[];
  onGo: (line: number) => void;
}

/** What is wrong with a text; a click goes to the line. */
export function Problems({ id, problems, onGo }: ProblemsProps) {
  const { t } = useLingui();
  const count = problems.length;
  return (
    <div id={id} className={styles["problems"]} role="status">
      {count > 0 && (
        <>
          <p className={styles["head"]}>
            <Plural value={count} one="# problem: nothing of it is loaded" other="# problems: nothing of it is loaded" />
          </p>
          <ul aria-label={t`Problems`}>
            {problems.map(({ line, text }, at) => (
              <li key={at}>
                <button type="button" className={styles["problem"]} disabled={line < 1} onClick={() => onGo(line)}>
                  <StateShape shape="failed" size={10} />
                  {line > 0 && (
                    <span className={styles["line"]}>
                      <Trans>line {line}</Trans>
                    </span>
                  )}
                  <span className={styles["text"]}>{text}</span>
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
