import { useLingui } from "@lingui/react/macro";
import { useCallback, useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import { cx } from "../ui/cx";
import type { Selection } from "./selection";
import styles from "./TaskGrid.module.css";
import { TaskLine } from "./TaskLine";
import type { TaskWindows } from "./windows";

const ROW_PX = 32;
const NARROW_ROW_PX = 52;
const HEAD_PX = 28;
const BEYOND = 8;
/** A taller box than browsers can draw exactly has its end cut. */
const BOX_MAX_PX = 15_000_000;

export interface GridCursor {
  index: number;
  key: string | null;
}

export interface TaskGridProps {
  windows: TaskWindows;
  selection: Selection;
  cursor: GridCursor;
  onCursor: (index: number) => void;
  onToggle: (index: number, isRange: boolean) => void;
  /** All that match, or none. */
  onSelectAll: () => void;
  onOpen: (index: number) => void;
  canSelect: boolean;
  isNarrow: boolean;
  /** The first row on screen as the page is opened. */
  startAt: number;
  onAt: (first: number) => void;
}

interface HeadProps {
  canSelect: boolean;
  hasEnded: boolean;
  selection: Selection;
  onSelectAll: () => void;
}

function Head({ canSelect, hasEnded, selection, onSelectAll }: HeadProps) {
  const { t } = useLingui();
  const isSome = selection.count > 0 && !selection.isAll;
  const names: [string, string | undefined][] = [
    [t`id`, undefined],
    [t`task`, undefined],
    [t`user`, styles["user"]],
    [t`state`, undefined],
    [t`GPUs`, undefined],
    [t`memory`, styles["memory"]],
    [t`queue`, undefined],
    [t`tries`, styles["tries"]],
    [hasEnded ? t`ended` : t`since`, undefined],
    [hasEnded ? t`how, and where` : t`where, or why it waits`, undefined],
    [t`priority`, undefined],
  ];
  return (
    <div role="row" aria-rowindex={1} className={styles["head"]}>
      {canSelect && (
        <span role="columnheader" className={styles["check"]}>
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={t`select all that match`}
            title={t`Select all that match (Ctrl A)`}
            checked={selection.isAll}
            ref={(box) => {
              if (box) box.indeterminate = isSome;
            }}
            onChange={onSelectAll}
          />
        </span>
      )}
      {names.map(([name, className]) => (
        <span key={name} role="columnheader" className={className}>
          {name}
        </span>
      ))}
    </div>
  );
}

/** Fills the window from where it begins to the foot. */
function useHeight(ref: React.RefObject<HTMLDivElement | null>, isNarrow: boolean): void {
  useLayoutEffect(() => {
    const fit = (): void => {
      const grid = ref.current;
      if (!grid) return;
      const top = grid.getBoundingClientRect().top + window.scrollY;
      const foot = isNarrow ? 52 + 12 : 16;
      grid.style.setProperty("--grid-height", `${Math.max(220, window.innerHeight - top - foot)}px`);
    };
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(document.body);
    window.addEventListener("resize", fit);
    return () => {
      observer.disconnect();
      window.removeEventListener("resize", fit);
    };
  }, [ref, isNarrow]);
}

/** The list: only what is on screen is in the document. The list has the focus, its current row is told to readers. */
export function TaskGrid(props: TaskGridProps) {
  const { windows, selection, cursor, onCursor, onToggle, onSelectAll, onOpen, canSelect, isNarrow, startAt, onAt } = props;
  const { t } = useLingui();
  const ref = useRef<HTMLDivElement>(null);
  const gridId = useId();
  const rowPx = isNarrow ? NARROW_ROW_PX : ROW_PX;
  const headPx = isNarrow ? 0 : HEAD_PX;
  const [view, setView] = useState({ first: 0, rows: 30 });
  const total = windows.summary.total ?? 0;
  const shown = Math.min(total, Math.floor(BOX_MAX_PX / rowPx));
  useHeight(ref, isNarrow);

  const look = useCallback((): void => {
    const grid = ref.current;
    if (!grid) return;
    const first = Math.floor(grid.scrollTop / rowPx);
    const rows = Math.ceil(grid.clientHeight / rowPx) + 1;
    setView((old) => (old.first === first && old.rows === rows ? old : { first, rows }));
    windows.want(first, first + rows);
  }, [windows, rowPx]);

  const atStart = useRef(startAt);
  useLayoutEffect(() => {
    const grid = ref.current;
    if (grid && shown > 0 && atStart.current > 0) {
      grid.scrollTop = atStart.current * rowPx;
      atStart.current = 0;
    }
  }, [shown > 0, rowPx]);
  useLayoutEffect(() => {
    if (atStart.current > 0) windows.want(atStart.current, atStart.current + 40);
    else look();
  }, [windows, look]);
  const before = useRef(windows);
  useEffect(() => {
    // Another filter begins at its first row.
    if (before.current !== windows) ref.current?.scrollTo({ top: 0 });
    before.current = windows;
  }, [windows]);
  useEffect(() => {
    const observer = new ResizeObserver(look);
    if (ref.current) observer.observe(ref.current);
    return () => observer.disconnect();
  }, [look]);
  useEffect(() => {
    if (atStart.current > 0) return;
    const timer = setTimeout(() => onAt(view.first), 500);
    return () => clearTimeout(timer);
  }, [view.first, onAt]);

  useEffect(() => {
    const grid = ref.current;
    if (!grid || cursor.index < 0) return;
    const top = cursor.index * rowPx;
    const room = grid.clientHeight - headPx - rowPx;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top > grid.scrollTop + room) grid.scrollTop = top - room;
  }, [cursor.index, rowPx, headPx]);

  const press = (event: KeyboardEvent<HTMLDivElement>): void => {
    if (event.target !== ref.current || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key !== "a" || !canSelect) return;
      event.preventDefault();
      if (!selection.isAll) onSelectAll();
      return;
    }
    const page = Math.max(1, view.rows - 2);
    const at = cursor.index;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown - 1 }[event.key];
    if (to !== undefined) {
      onCursor(Math.min(shown - 1, Math.max(0, to)));
      if (event.shiftKey && canSelect) onToggle(Math.min(shown - 1, Math.max(0, to)), true);
    } else if (event.key === " " && canSelect && at >= 0) onToggle(at, event.shiftKey);
    else if (event.key === "Enter" && at >= 0) onOpen(at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const from = Math.max(0, view.first - BEYOND);
  const to = Math.min(shown, view.first + view.rows + BEYOND);
  const lines: ReactNode[] = [];
  for (let index = from; index < to; index += 1) {
    const row = windows.row(index);
    lines.push(
      <TaskLine
        key={index}
        id={`${gridId}-${index}`}
        row={row}
        index={index}
        top_px={index * rowPx}
        isSelected={row !== undefined && selection.has(row.key)}
        isCurrent={index === cursor.index}
        isNarrow={isNarrow}
        canSelect={canSelect}
        onToggle={onToggle}
        onCurrent={onCursor}
      />,
    );
  }
  const isCurrentShown = cursor.index >= from && cursor.index < to;
  return (
    <div
      ref={ref}
      role="grid"
      aria-label={t`Tasks`}
      aria-rowcount={total + 1}
      aria-multiselectable={canSelect || undefined}
      aria-activedescendant={isCurrentShown ? `${gridId}-${cursor.index}` : undefined}
      tabIndex={0}
      className={cx(styles["grid"], !canSelect && styles["plain"])}
      onScroll={look}
      onKeyDown={press}
    >
      {!isNarrow && (
        <div role="rowgroup" className={styles["heads"]}>
          <Head
            canSelect={canSelect}
            hasEnded={["done", "failed"].includes(windows.wanted.filter.state ?? "now")}
            selection={selection}
            onSelectAll={onSelectAll}
          />
        </div>
      )}
      <div role="rowgroup" className={styles["rows"]} style={{ height: shown * rowPx }}>
        {lines}
      </div>
    </div>
  );
}
