import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { memo, type MouseEvent } from "react";

import type { TaskRow } from "../api/types";
import { cx } from "../ui/cx";
import { gib, UNKNOWN } from "../ui/format";
import { SinceCell, StateCell, useStateWord, WhereCell } from "./RowCells";
import styles from "./TaskGrid.module.css";

export interface TaskLineProps {
  id: string;
  row: TaskRow | undefined;
  index: number;
  top_px: number;
  isSelected: boolean;
  isCurrent: boolean;
  isNarrow: boolean;
  canSelect: boolean;
  onToggle: (index: number, isRange: boolean) => void;
  onCurrent: (index: number) => void;
}

/** One task; a bar where its row is still on its way. */
export const TaskLine = memo(function TaskLine(props: TaskLineProps) {
  const { id, row, index, top_px, isSelected, isCurrent, isNarrow, canSelect, onToggle, onCurrent } = props;
  const { t } = useLingui();
  const stateWord = useStateWord();
  const place = { transform: `translateY(${top_px}px)` };
  if (!row) {
    return (
      <div className={cx(styles["row"], styles["missing"])} style={place} role="row" aria-rowindex={index + 2}>
        <span role="gridcell" className={styles["wide"]}>
          <span className={styles["bar"]} />
        </span>
      </div>
    );
  }
  const { title, short, key } = row;
  const memory = row.memory_bytes == null ? UNKNOWN : `${gib(row.memory_bytes)} GiB`;
  const box = (event: MouseEvent<HTMLInputElement>): void => onToggle(index, event.shiftKey);
  const name = row.has_id ? (
    <Link to="/ui/state/$id" params={{ id: key }} className={styles["title"]} title={title} tabIndex={-1}>
      {title}
    </Link>
  ) : (
    <span className={styles["title"]} title={title}>
      {title}
    </span>
  );
  const check = canSelect && (
    <span role="gridcell" className={styles["check"]}>
      <input
        type="checkbox"
        tabIndex={-1}
        aria-label={t`select ${title}`}
        checked={isSelected}
        onClick={box}
        onChange={() => undefined}
      />
    </span>
  );
  const shared = {
    id,
    role: "row",
    "aria-rowindex": index + 2,
    "aria-selected": canSelect ? isSelected : undefined,
    "data-current": isCurrent || undefined,
    className: styles["row"],
    style: place,
    onPointerDown: () => onCurrent(index),
  };
  if (isNarrow) {
    return (
      <div {...shared} aria-label={`${title}, ${stateWord(row)}`}>
        {check}
        <span role="gridcell" className={styles["two"]}>
          <span className={styles["first"]}>
            {name}
            <span className={styles["state"]}>
              <StateCell row={row} />
            </span>
          </span>
          <span className={styles["second"]}>
            <span className={styles["where"]}>
              {row.gpus ? <Trans>{row.gpus} GPU</Trans> : UNKNOWN} · <WhereCell row={row} />
            </span>
            <SinceCell row={row} />
          </span>
        </span>
      </div>
    );
  }
  return (
    <div {...shared}>
      {check}
      <span role="gridcell" className={styles["id"]}>
        {short || UNKNOWN}
      </span>
      <span role="gridcell" className={styles["name"]}>
        {name}
      </span>
      <span role="gridcell" className={cx(styles["cut"], styles["user"])} title={row.user ?? undefined}>
        {row.user || UNKNOWN}
      </span>
      <span role="gridcell" className={styles["state"]}>
        <StateCell row={row} />
      </span>
      <span role="gridcell">{row.gpus || UNKNOWN}</span>
      <span role="gridcell" className={styles["memory"]}>
        {memory}
      </span>
      <span role="gridcell" className={styles["cut"]} title={row.queue ?? undefined}>
        {row.queue || UNKNOWN}
      </span>
      <span role="gridcell" className={styles["tries"]}>
        {row.tries ?? UNKNOWN}
      </span>
      <span role="gridcell">
        <SinceCell row={row} />
      </span>
      <span role="gridcell" className={cx(styles["cut"], styles["dim"])}>
        <WhereCell row={row} />
      </span>
      <span role="gridcell" className={styles["priority"]}>
        {row.priority}
      </span>
    </div>
  );
});
