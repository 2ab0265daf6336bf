import { readItem, writeItem } from "../ui/prefs";
import type { Which } from "./names";

/** A text that was typed and not saved; it stays in this browser until it is saved or thrown away. */
export interface Kept {
  text: string;
  /** Of the text that was changed. */
  etag: string;
  at_ms: number;
}

const MOST = 1 << 20;

function keyOf(job: string, { mode, index }: Which): string {
  return `gpuq.unsaved:${job}/${mode}/${index}`;
}

/** What was kept; null: nothing, or nothing that can be read. */
export function keptText(job: string, which: Which): Kept | null {
  try {
    const found: unknown = JSON.parse(readItem(keyOf(job, which)) ?? "null");
    if (typeof found !== "object" || found === null) return null;
    const { text, etag, at_ms } = found as Partial<Record<keyof Kept, unknown>>;
    return typeof text === "string" && typeof etag === "string" && typeof at_ms === "number" ? { text, etag, at_ms } : null;
  } catch {
    return null;
  }
}

/** Keeps a text; null: forgets it. What is too long for a browser's store is not kept. */
export function keepText(job: string, which: Which, kept: Kept | null): void {
  writeItem(keyOf(job, which), kept === null || kept.text.length > MOST ? null : JSON.stringify(kept));
}
