import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, type RefObject } from "react";

import type { Held } from "./model";
import { offsetOf, Place, rowAt, rowOf } from "./place";
import { END, type LogReader } from "./reader";

const NEAR_PX = 1200;
const ROW_PX = 18;

export interface Scroll {
  box: RefObject<HTMLDivElement | null>;
  rows: RefObject<HTMLDivElement | null>;
  place: Place;
  onScroll: () => void;
  /** Shows the rows around a byte, there or not; END: the last. */
  goTo: (offset: number) => void;
  /** A byte that is on screen: END while the end is. */
  here: () => number;
}

/** Whether a byte, or the end, is among the rows. */
function isHeld(held: Held, offset: number): boolean {
  const isEnd = held.next >= held.size;
  return offset === END ? isEnd : offset >= held.first && (offset < held.next || isEnd);
}

/**
 * Keeps what is read where it is while rows come and go, the end in sight while it is followed, and more rows coming
 * from both sides. No browser's own anchoring: they differ, and Safari has none.
 */
export function useScroll(held: Held | null, isFollowing: boolean, reader: LogReader, mayFollow: boolean, wrap: boolean): Scroll {
  const box = useRef<HTMLDivElement>(null);
  const rows = useRef<HTMLDivElement>(null);
  const place = useMemo(() => new Place(), []);
  /** A byte to be brought on screen with the rows that come next. */
  const wish = useRef<number | null>(END);
  const anchor = useRef({ offset: 0, y: 0 });
  const last = useRef(0);
  const facts = useRef({ held, isFollowing, mayFollow });
  facts.current = { held, isFollowing, mayFollow };

  const measure = useCallback((): void => {
    if (!box.current || !rows.current) return;
    const { scrollTop, clientHeight, scrollHeight } = box.current;
    const { held: now } = facts.current;
    const first = rowAt(rows.current, scrollTop);
    const isEnd = scrollHeight - scrollTop - clientHeight < 2;
    last.current = scrollTop;
    anchor.current = { offset: offsetOf(first), y: (first?.offsetTop ?? 0) - scrollTop };
    const bottom = isEnd ? (now?.next ?? 0) : offsetOf(rowAt(rows.current, scrollTop + clientHeight));
    place.set({ top: anchor.current.offset, bottom });
  }, [place]);

  const show = useCallback((offset: number): void => {
    if (!box.current || !rows.current) return;
    const row = rowOf(rows.current, offset);
    if (row) box.current.scrollTop = row.offsetTop - box.current.clientHeight / 3;
  }, []);

  const settle = useCallback((): void => {
    const { held: now, isFollowing: follows } = facts.current;
    if (!box.current || !rows.current || !now) return;
    const wanted = wish.current !== null && isHeld(now, wish.current) ? wish.current : null;
    if (wanted !== null) wish.current = null;
    if (wanted === END || follows) box.current.scrollTop = box.current.scrollHeight;
    else if (wanted !== null) show(wanted);
    else {
      const row = rowOf(rows.current, anchor.current.offset);
      if (row && offsetOf(row) === anchor.current.offset) box.current.scrollTop = row.offsetTop - anchor.current.y;
    }
    measure();
  }, [measure, show]);

  const load = useCallback((): void => {
    if (!box.current || facts.current.isFollowing) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    if (scrollTop < NEAR_PX) reader.before();
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) reader.after();
  }, [reader]);

  useLayoutEffect(() => {
    if (!held) return;
    settle();
    load();
  }, [held, isFollowing, wrap, settle, load]);

  // The window, or a row that was opened, changes what fits.
  useEffect(() => {
    if (!box.current || !rows.current) return;
    const watch = new ResizeObserver(() => {
      if (facts.current.isFollowing) settle();
      else measure();
    });
    watch.observe(box.current);
    watch.observe(rows.current);
    return () => watch.disconnect();
  }, [held === null, settle, measure]);

  const onScroll = useCallback((): void => {
    if (!box.current) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const below = scrollHeight - scrollTop - clientHeight;
    const moved = scrollTop - last.current;
    measure();
    const now = facts.current;
    if (now.isFollowing) {
      if (below > ROW_PX && moved < 0) reader.follow(false);
      return;
    }
    load();
    // Whoever goes down to the end of what is printed wants to see what comes.
    if (moved > 0 && below < 2 && now.mayFollow && now.held && now.held.next >= now.held.size) reader.follow(true);
  }, [measure, load, reader]);

  const goTo = useCallback(
    (offset: number): void => {
      const { held: now } = facts.current;
      reader.follow(false);
      if (now && offset !== END && offset >= now.first && offset < now.next) {
        show(offset);
        measure();
        return;
      }
      wish.current = offset;
      void reader.jump(offset);
    },
    [reader, show, measure],
  );

  const here = useCallback((): number => {
    const { held: now, isFollowing: follows } = facts.current;
    return follows || !now || place.read().bottom >= now.size ? END : place.read().top;
  }, [place]);

  return { box, rows, place, onScroll, goTo, here };
}
