import { useCallback, useEffect, useRef, useState } from "react";

import { ApiError, client } from "../../api/client";
import type { Wire } from "../../api/types";
import { readEvents } from "../../live/sse";
import { appended, followed, followFrom, heldOf, prepended, type FollowRows, type Held, type LogWindow } from "./model";

export type Sign = "cut" | "replaced" | "gone" | "ended";

export interface LogState {
  held: Held | null;
  /** Why nothing can be shown. */
  error: ApiError | null;
  /** What happened to the file. */
  sign: { sign: Sign; text: string } | null;
  isFollowing: boolean;
}

export interface LogActions {
  /** Shows the rows around a byte; -1: the end. */
  jump: (anchor: number) => Promise<void>;
  before: () => void;
  after: () => void;
  follow: (on: boolean) => void;
}

const AROUND = 200;
const MORE = 500;
const AGAIN_MS = 2000;

function asError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({ status: 0, title: String(error), detail: "", code: "", params: {} });
}

/** Rows of a log as they are wanted: windows that hang together, and what is printed meanwhile. */
export function useLog(path: string, encoding: string, start: number | null, isRunning: boolean): [LogState, LogActions] {
  const [state, setState] = useState<LogState>({ held: null, error: null, sign: null, isFollowing: false });
  const latest = useRef(state);
  latest.current = state;
  const loading = useRef<AbortController | null>(null);
  const isBusy = useRef(false);

  const window_ = useCallback(
    (query: Record<string, number>, signal: AbortSignal) =>
      client.get<LogWindow>(`${path}/window`, { query: { ...query, encoding }, signal }),
    [path, encoding],
  );

  const jump = useCallback(
    async (anchor: number): Promise<void> => {
      loading.current?.abort();
      const stop = new AbortController();
      loading.current = stop;
      try {
        const found = await window_(anchor < 0 ? { anchor: -1, before: 2 * AROUND, after: 1 } : { anchor, before: AROUND, after: 2 * AROUND }, stop.signal);
        setState((old) => ({ ...old, held: heldOf(found), error: null, sign: null }));
      } catch (error) {
        if (!stop.signal.aborted) setState((old) => ({ ...old, error: asError(error) }));
      }
    },
    [window_],
  );

  // Another log, or the same one for the first time: a running task is followed, an ended one opens at its end.
  useEffect(() => {
    setState({ held: null, error: null, sign: null, isFollowing: false });
    const opensAtEnd = start === null;
    void jump(opensAtEnd ? -1 : start).then(() => {
      if (opensAtEnd && isRunning) setState((old) => ({ ...old, isFollowing: old.held !== null }));
    });
    return () => loading.current?.abort();
  }, [jump]);

  // What is not there yet comes: a task that has just begun has printed nothing.
  const isMissing = state.error !== null && ["no_log", "no_such_log", "storage_silent", "no_answer"].includes(state.error.code);
  useEffect(() => {
    if (!isMissing) return;
    const timer = window.setInterval(() => {
      void jump(-1).then(() => {
        if (isRunning) setState((old) => ({ ...old, isFollowing: old.held !== null }));
      });
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [isMissing, jump, isRunning]);

  // Line numbers are counted in the background: ask again for where we are.
  const needsCount = state.held !== null && state.held.count === null && !state.isFollowing;
  useEffect(() => {
    if (!needsCount) return;
    const stop = new AbortController();
    const timer = window.setInterval(() => {
      const held = latest.current.held;
      if (!held) return;
      window_({ anchor: held.first, before: 0, after: 1 }, stop.signal)
        .then((found) => {
          if (found.line === null || found.line === undefined || found.first !== held.first) return;
          setState((old) => {
            if (!old.held || old.held.first !== held.first || old.held.inode !== found.inode) return old;
            let number: number | null = found.line ?? null;
            let isNew = true;
            const lines = old.held.lines.map((line) => {
              const made = { ...line, number: isNew ? number : null };
              isNew = !line.row.p && !line.row.u;
              if (isNew && number !== null) number += 1;
              return made;
            });
            return { ...old, held: { ...old.held, lines, count: found.lines ?? old.held.count } };
          });
        })
        .catch(() => undefined);
    }, 700);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [needsCount, window_]);

  const more = useCallback(
    (isBefore: boolean): void => {
      const held = latest.current.held;
      if (!held || isBusy.current || latest.current.isFollowing) return;
      if (isBefore ? held.first === 0 : held.next >= held.size) return;
      isBusy.current = true;
      const stop = new AbortController();
      const query = isBefore ? { anchor: held.first, before: MORE, after: 0 } : { anchor: held.next, before: 0, after: MORE };
      window_(query, stop.signal)
        .then((found) => setState((old) => (old.held ? { ...old, held: (isBefore ? prepended : appended)(old.held, found) } : old)))
        .catch(() => undefined)
        .finally(() => {
          isBusy.current = false;
        });
    },
    [window_],
  );

  const { isFollowing } = state;
  useEffect(() => {
    if (!isFollowing) return;
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        const held = latest.current.held;
        if (!held) return;
        try {
          const reply = await client.stream(`${path}/follow`, { query: { after: followFrom(held), encoding }, signal: stop.signal });
          let isOver = false;
          await readEvents(reply, (event) => {
            if (event.event === "rows") {
              const rows = JSON.parse(event.data) as FollowRows;
              setState((old) => (old.held ? { ...old, held: followed(old.held, rows), error: null } : old));
            } else if (event.event === "state") {
              const said = JSON.parse(event.data) as Wire<"FollowState">;
              const sign = said.state as Sign;
              isOver = sign === "ended";
              setState((old) => ({ ...old, sign: { sign, text: said.text }, isFollowing: old.isFollowing && !isOver }));
            }
          });
          if (isOver) return;
          const { sign } = latest.current;
          if (sign && (sign.sign === "cut" || sign.sign === "replaced")) {
            await jump(-1);
            setState((old) => ({ ...old, sign }));
          }
        } catch (error) {
          if (stop.signal.aborted) return;
          if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
            setState((old) => ({ ...old, error, isFollowing: false }));
            return;
          }
        }
        // The console went away, or a proxy cut the stream: it goes on where it was.
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    void run();
    return () => stop.abort();
  }, [isFollowing, path, encoding, jump]);

  const follow = useCallback(
    (on: boolean): void => {
      if (!on) {
        setState((old) => ({ ...old, isFollowing: false }));
        return;
      }
      const held = latest.current.held;
      const begin = held && held.next >= held.size ? Promise.resolve() : jump(-1);
      void begin.then(() => setState((old) => ({ ...old, isFollowing: old.held !== null })));
    },
    [jump],
  );

  const before = useCallback(() => more(true), [more]);
  const after = useCallback(() => more(false), [more]);
  return [state, { jump, before, after, follow }];
}
