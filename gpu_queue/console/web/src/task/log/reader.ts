import { ApiError } from "../../api/client";
import type { Wire } from "../../api/types";
import { appended, followed, followFrom, heldOf, numbered, prepended, type FollowRows, type Held, type LogWindow } from "./model";

export type Sign = "cut" | "replaced" | "gone" | "ended";

/** What is seen of a log. */
export interface LogState {
  held: Held | null;
  /** Why what was asked for is not shown; it is asked for again where that helps. */
  error: ApiError | null;
  /** What happened to the file. */
  sign: { sign: Sign; text: string } | null;
  isFollowing: boolean;
}

/** An event of following. */
export type FollowEvent = { rows: FollowRows } | { state: Wire<"FollowState"> };

/** Where the rows of one log come from. */
export interface LogSource {
  window: (query: { anchor: number; before: number; after: number }, signal: AbortSignal) => Promise<LogWindow>;
  /** Until the stream ends. */
  follow: (after: number, signal: AbortSignal, hear: (event: FollowEvent) => void) => Promise<void>;
}

/** Time, and whether somebody looks. */
export interface Surroundings {
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Answers once the tab is seen. */
  seen: (signal: AbortSignal) => Promise<void>;
  /** Aborts what it is given when the tab is hidden. */
  whileSeen: (signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>) => Promise<void>;
}

const AROUND = 100;
const MORE = 250;
const AGAIN_MS = 2000;
const COUNT_MS = 700;

const GONE = new Set(["cannot_read", "no_log", "no_such_log"]);

export const END = -1;

function asError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({ status: 0, title: error instanceof Error ? error.message : String(error), detail: "", code: "", params: {} });
}

/** Holds rows of one log: windows that hang together, and what is printed meanwhile. Whoever listens hears of changes. */
export class LogReader {
  state: LogState = { held: null, error: null, sign: null, isFollowing: false };
  private readonly listeners = new Set<() => void>();
  private over = new AbortController();
  /** Whether a log that is not there may come. */
  isExpected = false;
  private wish: number | null = null;
  private jumping: Promise<void> | null = null;
  private isLoading = false;
  private following: AbortController | null = null;

  constructor(
    private readonly source: LogSource,
    private readonly around: Surroundings,
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly read = (): LogState => this.state;

  /** Goes on where `close` left it. */
  open(): void {
    if (this.over.signal.aborted) this.over = new AbortController();
  }

  /** Nothing is asked for any more. */
  close(): void {
    this.over.abort();
    this.following?.abort();
    this.following = null;
    this.wish = this.jumping = null;
  }

  private change(more: Partial<LogState>): void {
    if (this.over.signal.aborted) return;
    this.state = { ...this.state, ...more };
    for (const listener of this.listeners) listener();
  }

  /** Shows the rows around a byte; `END`: the last ones. The latest wish counts, and is repeated until it can be had. */
  jump(anchor: number): Promise<void> {
    this.wish = anchor;
    if (this.jumping) return this.jumping;
    const mine = this.fulfil().finally(() => {
      if (this.jumping === mine) this.jumping = null;
    });
    this.jumping = mine;
    return mine;
  }

  private async fulfil(): Promise<void> {
    const { signal } = this.over;
    while (this.wish !== null && !signal.aborted) {
      const anchor = this.wish;
      const query = anchor < 0 ? { anchor: -1, before: 2 * AROUND, after: 1 } : { anchor, before: AROUND, after: 2 * AROUND };
      try {
        const found = await this.source.window(query, signal);
        if (signal.aborted) return;
        if (this.wish === anchor) this.wish = null;
        this.change({ held: heldOf(found), error: null, sign: null });
        void this.count();
      } catch (error) {
        if (signal.aborted) return;
        const said = asError(error);
        this.change({ error: said });
        if (this.isWorthAsking(said)) await this.around.wait(AGAIN_MS, signal);
        else if (this.wish === anchor) this.wish = null;
      }
    }
  }

  private isWorthAsking(error: ApiError): boolean {
    return error.code === "no_log" || error.code === "no_such_log" ? this.isExpected : error.status === 0 || error.status >= 500;
  }

  /** Rows before those that are held. */
  before(): void {
    const { held } = this.state;
    if (held && held.first > 0) this.more({ anchor: held.first, before: MORE, after: 0 }, prepended);
  }

  /** Rows behind those that are held. */
  after(): void {
    const { held } = this.state;
    if (held && held.next < held.size) this.more({ anchor: held.next, before: 0, after: MORE }, appended);
  }

  private more(query: { anchor: number; before: number; after: number }, join: (held: Held, found: LogWindow) => Held): void {
    if (this.isLoading || this.state.isFollowing || this.wish !== null) return;
    this.isLoading = true;
    this.source
      .window(query, this.over.signal)
      .then((found) => {
        const { held } = this.state;
        if (held && !this.state.isFollowing) this.change({ held: join(held, found) });
      })
      .catch(() => undefined) // the next scroll asks again
      .finally(() => {
        this.isLoading = false;
      });
  }

  private isCounting = false;

  /** Line numbers are counted on the server in the background: asks for those of the rows that are held. */
  private async count(): Promise<void> {
    if (this.isCounting) return;
    this.isCounting = true;
    try {
      while (!this.over.signal.aborted) {
        const held = this.state.held;
        if (!held || (held.count !== null && (held.lines.length === 0 || held.lines.some((one) => one.number !== null)))) return;
        await this.around.wait(COUNT_MS, this.over.signal);
        await this.around.seen(this.over.signal);
        const now = this.state.held;
        if (!now) return;
        const found = await this.source.window({ anchor: now.first, before: 0, after: 1 }, this.over.signal).catch(() => null);
        if (found && this.state.held) this.change({ held: numbered(this.state.held, found) });
      }
    } finally {
      this.isCounting = false;
    }
  }

  /** Shows what is printed as it comes, from the end on; or no longer. */
  follow(on: boolean): void {
    if (!on) {
      this.following?.abort();
      this.following = null;
      this.change({ isFollowing: false });
      return;
    }
    if (this.following) return;
    const stop = new AbortController();
    this.following = stop;
    void this.run(stop.signal).finally(() => {
      if (this.following !== stop) return;
      this.following = null;
      this.change({ isFollowing: false });
    });
  }

  private async run(signal: AbortSignal): Promise<void> {
    const isAtEnd = this.state.held !== null && this.state.held.next >= this.state.held.size;
    if (!isAtEnd) await this.jump(END);
    if (signal.aborted || !this.state.held) return;
    this.change({ isFollowing: true });
    while (!signal.aborted) {
      await this.around.seen(signal);
      let ends: Sign | null = null;
      try {
        const hear = (event: FollowEvent): void => {
          if (signal.aborted || !this.state.held) return;
          if ("rows" in event) {
            const { inode, size_bytes } = event.rows;
            const isOther = inode !== "" && inode !== this.state.held.inode;
            if (isOther || size_bytes < from) {
              ends = isOther ? "replaced" : "cut";
              throw new Error(`the file was ${ends} before it was followed`);
            }
            const held = followed(this.state.held, event.rows);
            const sign = this.state.sign?.sign === "gone" ? null : this.state.sign;
            this.change({ held, error: null, sign });
            if (held.count === null) void this.count();
          } else {
            ends = event.state.state as Sign;
            this.change({ sign: { sign: ends, text: event.state.text } });
          }
        };
        const from = followFrom(this.state.held);
        await this.around.whileSeen(signal, (both) => this.source.follow(from, both, hear));
      } catch (error) {
        if (signal.aborted) return;
        const said = asError(error);
        if (said.status === 401 || said.status === 403) return this.change({ error: said });
        if (GONE.has(said.code)) this.change({ sign: { sign: "gone", text: said.message } });
      }
      if (signal.aborted || ends === "ended") return;
      if (ends === "cut" || ends === "replaced") {
        await this.anew(ends);
      } else {
        // The console went away, a proxy cut the stream, or nobody looked: it goes on where it was.
        await this.around.wait(AGAIN_MS, signal);
      }
    }
  }

  private async anew(sign: Sign): Promise<void> {
    await this.jump(END);
    this.change({ sign: { sign, text: "" } });
  }
}
