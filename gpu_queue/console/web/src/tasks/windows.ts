import { spool } from "../api/base";
import { client } from "../api/client";
import type { TaskFilter, TaskPage, TaskRow, Wire } from "../api/types";
import type { TasksSearch } from "./search";

export const PAGE_ROWS = 200;
/** So many rows are kept; those farthest from the screen go first. */
const PAGES_KEPT = 60;
const SETTLE_MS = 60;
const REFETCH_MS = 1000;
const LIMIT_MAX = 500;

export type Sort = NonNullable<TasksSearch["sort"]>;

/** What a list is made of. */
export interface Wanted {
  filter: TaskFilter;
  sort: Sort;
}

/** What the page shows beside the rows. */
export interface Summary {
  /** null: nothing has come yet. */
  total: number | null;
  queues: readonly Wire<"Facet">[];
  nodes: readonly Wire<"Facet">[];
  users: readonly Wire<"Facet">[];
  whys: readonly Wire<"Facet">[];
  isPartial: boolean;
  lookedAt: number;
  error: unknown;
}

interface Page {
  items: readonly TaskRow[];
  /** Of which look at the queue: an older one is fetched again when it is on screen. */
  round: number;
}

const NOTHING: Summary = { total: null, queues: [], nodes: [], users: [], whys: [], isPartial: false, lookedAt: 0, error: null };

/**
 * A list of tasks of which only the part on screen is fetched. When the queue has changed, what is on screen is
 * fetched again, at most once a second; until it comes the old rows stay.
 */
export class TaskWindows {
  private pages = new Map<number, Page>();
  private pending = new Map<number, AbortController>();
  private round = 0;
  private seen: [number, number] = [0, 0];
  private timer: number | undefined;
  private refetchTimer: number | undefined;
  private refetchedAt_ms = -Infinity;
  private listeners = new Set<() => void>();
  private isClosed = false;
  private told = NOTHING;
  /** Moves with every change: for useSyncExternalStore. */
  version = 0;

  constructor(
    readonly job: string,
    readonly wanted: Wanted,
  ) {}

  get summary(): Summary {
    return this.told;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  row(index: number): TaskRow | undefined {
    return this.pages.get(Math.floor(index / PAGE_ROWS))?.items[index % PAGE_ROWS];
  }

  /** Rows from..to are on screen. */
  want(from: number, to: number): void {
    const seen: [number, number] = [Math.floor(Math.max(0, from) / PAGE_ROWS), Math.floor(Math.max(0, to) / PAGE_ROWS)];
    const isFirst = this.told.total === null && this.pending.size === 0;
    this.seen = seen;
    if (isFirst) this.load();
    else if (this.timer === undefined) this.timer = window.setTimeout(() => this.load(), SETTLE_MS);
  }

  /** The queue has changed. */
  moved(): void {
    if (this.refetchTimer !== undefined || this.isClosed) return;
    const wait_ms = Math.max(0, this.refetchedAt_ms + REFETCH_MS - performance.now());
    this.refetchTimer = window.setTimeout(() => {
      this.refetchTimer = undefined;
      this.refetchedAt_ms = performance.now();
      this.round += 1;
      this.load();
    }, wait_ms);
  }

  /** Rows from..to, also those that were not on screen yet. */
  async between(from: number, to: number): Promise<TaskRow[]> {
    const found: TaskRow[] = [];
    for (let offset = from; offset <= to; offset += LIMIT_MAX) {
      const kept = Array.from({ length: Math.min(LIMIT_MAX, to - offset + 1) }, (_, at) => this.row(offset + at));
      const whole = kept.filter((row) => row !== undefined);
      if (whole.length === kept.length) found.push(...whole);
      else found.push(...(await this.fetch(offset, Math.min(LIMIT_MAX, to - offset + 1))).items);
    }
    return found;
  }

  /** The place of a task near a place; -1: it is not known. */
  indexOf(key: string, near: number): number {
    for (let distance = 0; distance < PAGE_ROWS; distance += 1) {
      if (this.row(near + distance)?.key === key) return near + distance;
      if (this.row(near - distance)?.key === key) return near - distance;
    }
    return -1;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    clearTimeout(this.refetchTimer);
    for (const one of this.pending.values()) one.abort();
  }

  /** Strict mode closes and opens again. */
  open(): void {
    this.isClosed = false;
  }

  private fetch(offset: number, limit: number, signal?: AbortSignal): Promise<TaskPage> {
    const { filter, sort } = this.wanted;
    const query = { ...filter, sort, offset, limit };
    return client.get<TaskPage>(spool(this.job, "tasks"), { query, signal });
  }

  private load(): void {
    this.timer = undefined;
    if (this.isClosed) return;
    const [first, last] = this.seen;
    for (const [page, one] of this.pending) {
      if (page < first || page > last) {
        one.abort();
        this.pending.delete(page);
      }
    }
    for (let page = first; page <= last; page += 1) {
      if (!this.pending.has(page) && this.pages.get(page)?.round !== this.round) void this.loadPage(page);
    }
  }

  private async loadPage(page: number): Promise<void> {
    const stop = new AbortController();
    const round = this.round;
    this.pending.set(page, stop);
    try {
      const got = await this.fetch(page * PAGE_ROWS, PAGE_ROWS, stop.signal);
      if (stop.signal.aborted) return;
      this.pages.set(page, { items: got.items, round });
      this.told = {
        total: got.total,
        queues: got.queues ?? [],
        nodes: got.nodes ?? [],
        users: got.users ?? [],
        whys: got.whys ?? [],
        isPartial: got.is_partial ?? false,
        lookedAt: got.looked_at ?? 0,
        error: null,
      };
      this.trim();
      // The filter that reads records had not time for all of them: it goes on where it stopped.
      if (got.is_partial) this.moved();
    } catch (error) {
      if (stop.signal.aborted) return;
      this.told = { ...this.told, error };
    } finally {
      if (this.pending.get(page) === stop) this.pending.delete(page);
    }
    this.tell();
    if (round !== this.round) this.load();
  }

  private trim(): void {
    const total = this.told.total ?? 0;
    for (const page of this.pages.keys()) if (page * PAGE_ROWS >= total) this.pages.delete(page);
    const middle = (this.seen[0] + this.seen[1]) / 2;
    const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of far.slice(0, Math.max(0, this.pages.size - PAGES_KEPT))) this.pages.delete(page);
  }

  private tell(): void {
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
