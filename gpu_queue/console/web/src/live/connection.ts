import { basePath, spool } from "../api/base";
import { ApiError, client, isAccessError } from "../api/client";
import { errorWords } from "../api/said";
import type { Delta, Snapshot, StreamNote } from "../api/types";
import { ACCESS_CHANGED } from "./events";
import { whileLeading } from "./leader";
import { readEvents, type ServerEvent } from "./sse";
import type { LivingStore, Way } from "./store";

/** Comments come each 15 s: after so long without a byte something between us and the console holds them back. */
const SILENT_MS = 20_000;
const POLL_MS = 5_000;
const WAITS_MS = [500, 1_000, 2_000, 5_000, 10_000];

type Message =
  | { kind: "hello" }
  | { kind: "snapshot"; snapshot: Snapshot }
  | { kind: "delta"; before: string; delta: Delta }
  | { kind: "note"; note: StreamNote }
  | { kind: "fresh"; way: Way; problem: string };

/** Resolves after that time, when the signal ends, or when what this browser may do has changed. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      window.removeEventListener(ACCESS_CHANGED, done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    window.addEventListener(ACCESS_CHANGED, done);
  });
}

/** Keeps a store in step with the server, for as long as the signal lets it. One in the whole browser reads. */
export class Connection {
  private readonly channel: BroadcastChannel | null;
  private isLeading = false;
  private etag: string | null = null;
  private failures = 0;

  constructor(
    private readonly job: string,
    private readonly store: LivingStore,
    private readonly signal: AbortSignal,
  ) {
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel(`gpuq-live:${basePath}:${job}`) : null;
  }

  start(): void {
    if (this.channel) {
      this.channel.onmessage = (event: MessageEvent<Message>) => this.got(event.data);
      this.say({ kind: "hello" });
      this.signal.addEventListener("abort", () => this.channel?.close());
    }
    void whileLeading(this.job, this.signal, (signal) => this.lead(signal));
    void this.watch();
  }

  private say(message: Message): void {
    if (!this.signal.aborted) this.channel?.postMessage(message);
  }

  /** From another tab of this browser. */
  private got(message: Message): void {
    if (message.kind === "hello") {
      const snapshot = this.isLeading ? this.store.snapshot() : null;
      if (snapshot) this.say({ kind: "snapshot", snapshot });
      return;
    }
    if (this.isLeading) return;
    if (message.kind === "snapshot") {
      if (message.snapshot.id !== this.store.id) this.store.replace(message.snapshot);
      this.store.heard("live");
    } else if (message.kind === "delta") {
      if (message.before === this.store.id) this.store.apply(message.delta);
      else this.say({ kind: "hello" });
      this.store.heard("live");
    } else if (message.kind === "note") {
      this.store.note(message.note);
    } else if (message.way === "live") {
      this.store.heard("live");
    } else {
      this.store.setFresh({ way: message.way, problem: message.problem });
    }
  }

  private async lead(signal: AbortSignal): Promise<void> {
    this.isLeading = true;
    while (!signal.aborted) {
      const wait_ms = await this.readStream(signal);
      await sleep(wait_ms, signal);
    }
    this.isLeading = false;
  }

  /** Reads until the stream ends; returns how long to wait before the next try. */
  private async readStream(signal: AbortSignal): Promise<number> {
    const quiet = new AbortController();
    let timer = setTimeout(() => quiet.abort(), SILENT_MS);
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), SILENT_MS);
      this.failures = 0;
      this.heard("live");
    };
    try {
      const headers: Record<string, string> = this.store.id ? { "last-event-id": this.store.id } : {};
      const reply = await client.stream(spool(this.job, "stream"), { signal: AbortSignal.any([signal, quiet.signal]), headers });
      await readEvents(reply, (event) => this.take(event), heard);
      this.lost("reconnecting");
      return this.nextWait();
    } catch (error) {
      if (signal.aborted) return 0;
      return this.afterFailure(error, quiet.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  private nextWait(): number {
    const wait = WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)] ?? POLL_MS;
    this.failures += 1;
    return wait * (0.8 + 0.4 * Math.random());
  }

  private afterFailure(error: unknown, wasQuiet: boolean): number {
    if (isAccessError(error)) {
      this.lost("refused", errorWords(error));
      return 30_000;
    }
    if (error instanceof ApiError && error.status === 404) {
      this.lost("missing", errorWords(error));
      return POLL_MS;
    }
    // watch() asks for snapshots meanwhile.
    this.lost(this.store.fresh.way === "polling" ? "polling" : "reconnecting");
    if (error instanceof ApiError && error.retryAfter_s !== null) return error.retryAfter_s * 1000;
    return wasQuiet ? 0 : this.nextWait();
  }

  private take({ event, data }: ServerEvent): void {
    if (event === "snapshot") {
      const snapshot = JSON.parse(data) as Snapshot;
      this.store.replace(snapshot);
      this.say({ kind: "snapshot", snapshot });
    } else if (event === "delta") {
      const delta = JSON.parse(data) as Delta;
      const before = this.store.id;
      this.store.apply(delta);
      this.say({ kind: "delta", before, delta });
    } else if (event === "note") {
      const note = JSON.parse(data) as StreamNote;
      this.store.note(note);
      this.say({ kind: "note", note });
    }
  }

  private heard(way: Way): void {
    this.store.heard(way);
    this.say({ kind: "fresh", way, problem: "" });
  }

  private lost(way: Way, problem = ""): void {
    this.store.setFresh({ way, problem });
    this.say({ kind: "fresh", way, problem });
  }

  /** While nothing comes, neither from the stream nor from the tab that reads it, asks for the whole now and then. */
  private async watch(): Promise<void> {
    const started_ms = performance.now();
    while (!this.signal.aborted) {
      await sleep(POLL_MS, this.signal);
      const { heard_ms, way } = this.store.fresh;
      const silent_ms = performance.now() - (heard_ms ?? started_ms);
      const isAsked = way === "polling" || way === "reconnecting" || silent_ms > SILENT_MS;
      if (this.signal.aborted || document.hidden || !isAsked || way === "refused") continue;
      await this.poll();
    }
  }

  private async poll(): Promise<void> {
    try {
      const { value, etag } = await client.getTagged<Snapshot>(spool(this.job, "snapshot"), this.etag, { signal: this.signal });
      this.etag = etag;
      if (value && value.id !== this.store.id) this.store.replace(value);
      if (this.store.living) this.store.heard("polling");
    } catch (error) {
      if (this.signal.aborted) return;
      if (isAccessError(error)) this.lost("refused", errorWords(error));
      else this.store.setFresh({ way: this.store.fresh.way === "missing" ? "missing" : "reconnecting" });
    }
  }
}
