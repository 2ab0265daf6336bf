import type { Wire } from "../api/types";

export type ScriptIn = Wire<"ScriptIn">;

export const FILES_MAX = 100;
export const FILE_MAX_BYTES = 16 << 20;
export const TOTAL_MAX_BYTES = 64 << 20;

/** A script that is to be queued. */
export interface Handed {
  id: number;
  script: ScriptIn;
  bytes: number;
}

let lastId = 0;

/** What was pasted or typed. */
export function typed(name: string, text: string): Handed {
  lastId += 1;
  return { id: lastId, script: { name, text, is_base64: false }, bytes: new TextEncoder().encode(text).length };
}

function base64(bytes: Uint8Array): string {
  const step = 0x8000;
  let binary = "";
  for (let at = 0; at < bytes.length; at += step) binary += String.fromCharCode(...bytes.subarray(at, at + step));
  return btoa(binary);
}

/** A file's bytes; one that is no UTF-8 goes as base64, so that it arrives as it is. */
async function handed(file: File): Promise<Handed> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  lastId += 1;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { id: lastId, script: { name: file.name, text, is_base64: false }, bytes: bytes.length };
  } catch {
    return { id: lastId, script: { name: file.name, text: base64(bytes), is_base64: true }, bytes: bytes.length };
  }
}

/** Why files were not taken. */
export interface Refused {
  name: string;
  why: "too_many" | "too_large" | "all_too_large" | "unreadable";
}

/** Reads files, as far as there is room for them beside what is there. */
export async function readFiles(files: readonly File[], there: readonly Handed[]): Promise<{ taken: Handed[]; refused: Refused[] }> {
  const taken: Handed[] = [];
  const refused: Refused[] = [];
  let total = there.reduce((sum, one) => sum + one.bytes, 0);
  for (const file of files) {
    if (there.length + taken.length >= FILES_MAX) refused.push({ name: file.name, why: "too_many" });
    else if (file.size > FILE_MAX_BYTES) refused.push({ name: file.name, why: "too_large" });
    else if (total + file.size > TOTAL_MAX_BYTES) refused.push({ name: file.name, why: "all_too_large" });
    else {
      try {
        taken.push(await handed(file));
        total += file.size;
      } catch {
        // A folder, or a file that may not be read.
        refused.push({ name: file.name, why: "unreadable" });
      }
    }
  }
  return { taken, refused };
}
