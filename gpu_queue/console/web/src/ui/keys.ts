import { useEffect, useRef, useSyncExternalStore } from "react";

import { prefs } from "./prefs";

/**
 * Shortcuts. `k` and `g s` (one after the other) are single keys: they can be switched off, and never fire while
 * somebody types or a dialog is open. `mod+k` is Ctrl, or Command on a Mac; it works everywhere.
 */
export interface Shortcut {
  keys: string;
  /** For the list behind `?`. */
  label: string;
  run: (event: KeyboardEvent) => void;
  /** It works in dialogs as well. */
  inDialogs?: boolean;
  /** Whether it does at this moment; if not, the key is another's, or the browser's. */
  applies?: (() => boolean) | undefined;
}

const SEQUENCE_MS = 1000;

let all: readonly Shortcut[] = [];
const listeners = new Set<() => void>();
let before: { key: string; at_ms: number } | null = null;

function change(next: readonly Shortcut[]): void {
  all = next;
  for (const listener of listeners) listener();
}

/** Whether what is typed now goes into a text. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit", "range"].includes(target.type);
}

function named(event: KeyboardEvent): string {
  const name = event.key === " " ? "Space" : event.key;
  return event.ctrlKey || event.metaKey ? `mod+${name.toLowerCase()}` : name;
}

function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.altKey) return;
  const key = named(event);
  const isSingle = !key.startsWith("mod+");
  if (isSingle && (isTyping(event.target) || !prefs.get().singleKeys)) return;
  const inDialog = document.querySelector("dialog[open]") !== null;
  const now = event.timeStamp;
  const sequence = before && now - before.at_ms < SEQUENCE_MS ? `${before.key} ${key}` : null;
  before = isSingle ? { key, at_ms: now } : null;
  // The one that was added last is the innermost: a log's search before the page's.
  const able = all.filter((one) => (!inDialog || one.inDialogs) && (one.applies?.() ?? true)).toReversed();
  const found = able.find((one) => one.keys === sequence) ?? able.find((one) => one.keys === key);
  if (!found) return;
  event.preventDefault();
  if (found.keys === sequence) before = null;
  found.run(event);
}

window.addEventListener("keydown", pressed);

/** A shortcut as long as the part is shown (and `isOn`). */
export function useShortcut(
  keys: string,
  label: string,
  run: (event: KeyboardEvent) => void,
  { isOn = true, inDialogs = false, applies }: { isOn?: boolean; inDialogs?: boolean; applies?: () => boolean } = {},
): void {
  const latest = useRef({ run, applies });
  latest.current = { run, applies };
  useEffect(() => {
    if (!isOn) return;
    const one: Shortcut = {
      keys,
      label,
      inDialogs,
      run: (event) => latest.current.run(event),
      applies: () => latest.current.applies?.() ?? true,
    };
    change([...all, one]);
    return () => change(all.filter((other) => other !== one));
  }, [keys, label, isOn, inDialogs]);
}

/** All that work now, for the list behind `?`. */
export function useShortcuts(): readonly Shortcut[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
}
