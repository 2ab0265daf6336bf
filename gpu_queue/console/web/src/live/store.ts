import type { Delta, Living, Sample, Snapshot, StreamNote } from "../api/types";
import { Clock } from "./clock";
import { mergePatch } from "./patch";

/** How what is shown comes in. */
export type Way = "loading" | "live" | "polling" | "reconnecting" | "refused" | "missing";

export interface Freshness {
  way: Way;
  /** When something last came, by `performance.now()`; null: nothing yet. */
  heard_ms: number | null;
  /** What the server said, when it refused. */
  problem: string;
}

/** The parts of the document that are maps by key. */
export type MapPart = "flags" | "nodes" | "gpus" | "running" | "waiting" | "ended" | "queues" | "attention";
const MAPS: readonly MapPart[] = ["flags", "nodes", "gpus", "running", "waiting", "ended", "queues", "attention"];

const RECENT_S = 120;
const NO_SAMPLES: readonly Sample[] = [];

function local_s(): number {
  return Date.now() / 1000;
}

/** Samples after `from_s`, and the last one before it: the line begins at the left edge. */
function since(samples: readonly Sample[], from_s: number): Sample[] {
  const first = samples.findIndex((one) => one.at_s > from_s);
  return first < 0 ? samples.slice(-1) : samples.slice(Math.max(0, first - 1));
}

/**
 * The living part of one queue. Whoever shows an entity subscribes to that entity alone: topics are `gpus/<key>`, the
 * keys of a map (`gpus`), other parts by name (`counts`), `recent/<key>`, `fresh`, and `all`.
 */
export class LivingStore {
  readonly clock = new Clock();
  private document: Living | null = null;
  private version = "";
  private samples = new Map<string, readonly Sample[]>();
  private keyLists = new Map<MapPart, readonly string[]>();
  private freshness: Freshness = { way: "loading", heard_ms: null, problem: "" };
  private topics = new Map<string, Set<() => void>>();
  private noteListeners = new Set<(note: StreamNote) => void>();
  private pace_s = 0;
  private held = new Set<string>();
  private heldTimer: ReturnType<typeof setTimeout> | undefined;

  get living(): Living | null {
    return this.document;
  }

  /** Names the state that is held: `Last-Event-ID`. */
  get id(): string {
    return this.version;
  }

  get fresh(): Freshness {
    return this.freshness;
  }

  now_s(): number {
    return this.clock.now_s(local_s());
  }

  recent(gpu: string): readonly Sample[] {
    return this.samples.get(gpu) ?? NO_SAMPLES;
  }

  keys(part: MapPart): readonly string[] {
    let keys = this.keyLists.get(part);
    if (!keys) {
      keys = Object.keys(this.document?.[part] ?? {}).sort();
      this.keyLists.set(part, keys);
    }
    return keys;
  }

  subscribe = (topic: string, listener: () => void): (() => void) => {
    const listeners = this.topics.get(topic) ?? new Set();
    this.topics.set(topic, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.topics.delete(topic);
    };
  };

  onNote(listener: (note: StreamNote) => void): () => void {
    this.noteListeners.add(listener);
    return () => this.noteListeners.delete(listener);
  }

  note(note: StreamNote): void {
    for (const listener of this.noteListeners) listener(note);
  }

  setFresh(change: Partial<Freshness>): void {
    const next = { ...this.freshness, ...change };
    const before = this.freshness;
    this.freshness = next;
    if (next.way !== before.way || next.problem !== before.problem) this.tell("fresh");
  }

  /** Something came, also if it changes nothing. */
  heard(way: Way): void {
    this.setFresh({ way, heard_ms: performance.now(), problem: "" });
  }

  replace(snapshot: Snapshot): void {
    this.document = snapshot.living;
    this.version = snapshot.id;
    this.clock.told(snapshot.now_s, local_s());
    this.samples = new Map(Object.entries(snapshot.recent));
    this.keyLists.clear();
    for (const topic of [...this.topics.keys()]) if (topic !== "fresh") this.tell(topic);
  }

  apply(delta: Delta): void {
    const before = this.document;
    if (!before) return;
    const after = mergePatch(before, delta.patch) as Living; // A patch of a Living is one: the server's promise.
    this.document = after;
    this.version = delta.id;
    this.clock.told(delta.now_s, local_s());
    const sampled = this.takeSamples(before, after, delta.now_s);
    const touched = new Set<string>(sampled.map((gpu) => `recent/${gpu}`));
    for (const part of Object.keys(delta.patch)) this.touch(part, before, after, touched);
    touched.add("all");
    this.tellInPace(touched);
  }

  /** How often those who look on are told of changes; 0: of each as it comes. */
  setPace(pace_s: number): void {
    this.pace_s = pace_s;
    this.tellHeld();
  }

  /** The state as one message, for a tab that has none yet. */
  snapshot(): Snapshot | null {
    if (!this.document) return null;
    return {
      id: this.version,
      now_s: this.now_s(),
      living: this.document,
      recent: Object.fromEntries([...this.samples].map(([gpu, samples]) => [gpu, [...samples]])),
    };
  }

  private touch(part: string, before: Living, after: Living, touched: Set<string>): void {
    const map = MAPS.find((one) => one === part);
    touched.add(map ? `${map}/*` : part);
    if (!map) return;
    const old: Record<string, unknown> = before[map] ?? {};
    const now: Record<string, unknown> = after[map] ?? {};
    let areKeysNew = false;
    for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
      if (old[key] === now[key]) continue;
      touched.add(`${map}/${key}`);
      if (!(key in old) || !(key in now)) areKeysNew = true;
    }
    if (areKeysNew) {
      this.keyLists.delete(map);
      touched.add(map);
    }
  }

  /** A node that wrote its file anew has measured its GPUs anew, also where the number is the same. */
  private takeSamples(before: Living, after: Living, now_s: number): string[] {
    const taken: string[] = [];
    for (const [name, node] of Object.entries(after.nodes)) {
      const at_s = node.written_at_s ?? null;
      if (at_s === null || before.nodes[name]?.written_at_s === at_s) continue;
      for (const key of node.gpus) {
        const percent = after.gpus[key]?.utilization_percent ?? null;
        const old = this.recent(key);
        if ((old.at(-1)?.at_s ?? 0) >= at_s) continue;
        this.samples.set(key, since([...old, { at_s, percent }], now_s - RECENT_S));
        taken.push(key);
      }
    }
    for (const key of this.samples.keys()) if (!(key in after.gpus)) this.samples.delete(key);
    return taken;
  }

  private tellInPace(topics: Iterable<string>): void {
    for (const topic of topics) this.held.add(topic);
    if (this.pace_s === 0) this.tellHeld();
    else this.heldTimer ??= setTimeout(() => this.tellHeld(), this.pace_s * 1000);
  }

  private tellHeld(): void {
    clearTimeout(this.heldTimer);
    this.heldTimer = undefined;
    const topics = [...this.held];
    this.held.clear();
    for (const topic of topics) this.tell(topic);
  }

  private tell(topic: string): void {
    for (const listener of [...(this.topics.get(topic) ?? [])]) listener();
  }
}
