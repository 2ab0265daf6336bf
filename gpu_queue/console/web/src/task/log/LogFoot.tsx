import { Plural, useLingui } from "@lingui/react/macro";

import { fileSize, thousands } from "../../ui/format";
import styles from "./LogView.module.css";
import type { Held } from "./model";

export const ENCODINGS = { "utf-8": "UTF-8", gb18030: "GB 18030" } as const;
export type Encoding = keyof typeof ENCODINGS;

const isEncoding = (value: string): value is Encoding => value in ENCODINGS;

export interface LogFootProps {
  held: Held | null;
  /** Why what was asked for is not shown yet. */
  problem: string;
  encoding: Encoding;
  onEncoding: (encoding: Encoding) => void;
}

/** What the file is. */
export function LogFoot({ held, problem, encoding, onEncoding }: LogFootProps) {
  const { t } = useLingui();
  const replaced = held?.replaced ?? 0;
  return (
    <div className={styles["foot"]}>
      {held && (
        <>
          <span>{held.count === null ? t`lines are being counted` : <Lines count={held.count} />}</span>
          <span>{fileSize(held.size)}</span>
        </>
      )}
      <select
        className={styles["encoding"]}
        aria-label={t`Encoding`}
        value={encoding}
        onChange={(event) => {
          if (isEncoding(event.target.value)) onEncoding(event.target.value);
        }}
      >
        {Object.entries(ENCODINGS).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
      {replaced > 0 && (
        <span>
          <Plural value={replaced} one="# byte of these rows is no such text" other="# bytes of these rows are no such text" />
        </span>
      )}
      {problem !== "" && <span role="status">{problem}</span>}
    </div>
  );
}

function Lines({ count }: { count: number }) {
  const shown = thousands(count);
  return <Plural value={count} one={`${shown} line`} other={`${shown} lines`} />;
}
