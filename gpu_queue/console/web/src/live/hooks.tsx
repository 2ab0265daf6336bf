import { createContext, useCallback, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";

import type { Living, Sample, StreamNote } from "../api/types";
import { usePrefs } from "../ui/prefs";
import { Connection } from "./connection";
import { LivingStore, type Freshness, type MapPart } from "./store";

const StoreContext = createContext<LivingStore | null>(null);

/** Holds the living part of a queue for everything below, and keeps it in step. Mount it anew for another queue. */
export function LiveProvider({ job, children }: { job: string; children: ReactNode }) {
  const [store] = useState(() => new LivingStore());
  useEffect(() => {
    const stop = new AbortController();
    new Connection(job, store, stop.signal).start();
    return () => stop.abort();
  }, [job, store]);
  const { refresh_s } = usePrefs();
  useEffect(() => store.setPace(refresh_s), [store, refresh_s]);
  return <StoreContext value={store}>{children}</StoreContext>;
}

export function useStore(): LivingStore {
  const store = useContext(StoreContext);
  if (!store) throw new Error("the living part of a queue is asked for outside of LiveProvider");
  return store;
}

function useTopic<T>(topic: string, read: (store: LivingStore) => T): T {
  const store = useStore();
  const subscribe = useCallback((listener: () => void) => store.subscribe(topic, listener), [store, topic]);
  return useSyncExternalStore(subscribe, () => read(store));
}

/** Whether anything has come yet. */
export function useIsLoaded(): boolean {
  return useTopic("storage", (store) => store.living !== null);
}

type Entity<P extends MapPart> = Living[P][string];

/** One entity of a map, by its key; undefined: there is none. Only its own changes draw the caller anew. */
export function useEntity<P extends MapPart>(part: P, key: string): Entity<P> | undefined {
  return useTopic(`${part}/${key}`, (store) => store.living?.[part][key] as Entity<P> | undefined);
}

/** The keys of a map, sorted. Changes only when one comes or goes. */
export function useKeys(part: MapPart): readonly string[] {
  return useTopic(part, (store) => store.keys(part));
}

/** A whole map: for sums over it. Draws the caller anew with each change of any of it. */
export function useMap<P extends MapPart>(part: P): Living[P] | undefined {
  return useTopic(`${part}/*`, (store) => store.living?.[part]);
}

type PlainPart = Exclude<keyof Living, MapPart>;

/** A part that is no map: counts, versions, waiting_order, storage …; undefined: nothing has come yet. */
export function useLiving<P extends PlainPart>(part: P): Living[P] | undefined {
  return useTopic(part, (store) => store.living?.[part]);
}

/** Utilisation of a GPU in the last two minutes. */
export function useRecent(gpu: string): readonly Sample[] {
  return useTopic(`recent/${gpu}`, (store) => store.recent(gpu));
}

/** How what is shown comes in. */
export function useFresh(): Freshness {
  return useTopic("fresh", (store) => store.fresh);
}

/** Hears how far plans are, and what agents answer. */
export function useNotes(listener: (note: StreamNote) => void): void {
  const store = useStore();
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => store.onNote((note) => latest.current(note)), [store]);
}

const tickers = new Map<number, { listeners: Set<() => void>; timer: number }>();

function onTick(step_s: number, listener: () => void): () => void {
  let ticker = tickers.get(step_s);
  if (!ticker) {
    const listeners = new Set<() => void>();
    const timer = window.setInterval(() => {
      if (!document.hidden) for (const one of [...listeners]) one();
    }, step_s * 1000);
    ticker = { listeners, timer };
    tickers.set(step_s, ticker);
  }
  const { listeners, timer } = ticker;
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      tickers.delete(step_s);
    }
  };
}

/** Epoch seconds by the file server's clock, whole steps of `step_s`; the caller is drawn anew with each. */
export function useNow(step_s = 1): number {
  const store = useStore();
  const subscribe = useCallback((listener: () => void) => onTick(step_s, listener), [step_s]);
  return useSyncExternalStore(subscribe, () => Math.floor(store.now_s() / step_s) * step_s);
}

/** How old what is shown is, in whole seconds; null: nothing was heard yet. Counts on. */
export function useAge(): number | null {
  const store = useStore();
  const subscribe = useCallback((listener: () => void) => onTick(1, listener), []);
  return useSyncExternalStore(subscribe, () => {
    const { heard_ms } = store.fresh;
    return heard_ms === null ? null : Math.floor((performance.now() - heard_ms) / 1000);
  });
}
