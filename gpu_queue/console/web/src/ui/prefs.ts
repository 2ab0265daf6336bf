import { useSyncExternalStore } from "react";

export type Theme = "dark" | "light";
export type Language = "en" | "zh";

/** What a person has chosen in this browser; null: nothing. */
export interface Prefs {
  theme: Theme | null;
  language: Language | null;
  /** Whether single keys are shortcuts (WCAG 2.1.4). */
  singleKeys: boolean;
  /** How often numbers are drawn anew, in seconds; 0: as they come. */
  refresh_s: number;
}

const KEYS = { theme: "gpuq.theme", language: "gpuq.language", singleKeys: "gpuq.keys", refresh_s: "gpuq.refresh" };

/** Storage may be switched off or full: then a choice lasts as long as the page. */
export function readItem(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a value for later visits; null removes it. */
export function writeItem(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // See readItem.
  }
}

function oneOf<T extends string>(value: string | null, ...allowed: T[]): T | null {
  return allowed.find((one) => one === value) ?? null;
}

function read(): Prefs {
  const refresh_s = Number(readItem(KEYS.refresh_s) ?? "0");
  return {
    theme: oneOf(readItem(KEYS.theme), "dark", "light"),
    language: oneOf(readItem(KEYS.language), "en", "zh"),
    singleKeys: readItem(KEYS.singleKeys) !== "off",
    refresh_s: [0, 5, 15, 60].includes(refresh_s) ? refresh_s : 0,
  };
}

let current = read();
const listeners = new Set<() => void>();

function changed(next: Prefs): void {
  current = next;
  for (const listener of listeners) listener();
}

window.addEventListener("storage", (event) => {
  if (event.key === null || Object.values(KEYS).includes(event.key)) changed(read());
});

export const prefs = {
  get: (): Prefs => current,
  set(change: Partial<Prefs>): void {
    const next = { ...current, ...change };
    writeItem(KEYS.theme, next.theme);
    writeItem(KEYS.language, next.language);
    writeItem(KEYS.singleKeys, next.singleKeys ? null : "off");
    writeItem(KEYS.refresh_s, next.refresh_s ? String(next.refresh_s) : null);
    changed(next);
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

/** The choices of this browser, kept in step among its tabs. */
export function usePrefs(): Prefs {
  return useSyncExternalStore(prefs.subscribe, prefs.get);
}
