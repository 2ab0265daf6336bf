/** Words of numbers. What is not known is `–`, never 0. Durations and commas are the same in all languages. */

export const UNKNOWN = "–";

const two = (value: number): string => String(value).padStart(2, "0");

/** `45s`, `6m56s`, `11h26m`, `1d04h`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86_400)}d${two(Math.floor((s % 86_400) / 3600))}h`;
}

/** The largest unit alone: `45s`, `17m`, `4h`, `3d`. */
export function durationShort(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h`;
  return `${Math.floor(s / 86_400)}d`;
}

const commas = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** `9,993`. */
export function thousands(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : commas.format(value);
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Of files: `84 kB`, `1.03 GB`; 1 kB is 1000 bytes. */
export function fileSize(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Of memory: whole GiB, without the unit; below ten with one digit. */
export function gib(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  const value = bytes / 2 ** 30;
  return value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}

/** `627 W`, `7.3 kW`. */
export function power(watts: number | null | undefined): string {
  if (watts === null || watts === undefined) return UNKNOWN;
  return watts < 1000 ? `${watts.toFixed(0)} W` : `${(watts / 1000).toFixed(1)} kW`;
}

/** `10:42:07`, by this browser's zone. */
export function clockTime(at_s: number | null | undefined, seconds = true): string {
  if (at_s === null || at_s === undefined) return UNKNOWN;
  const at = new Date(at_s * 1000);
  const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return seconds ? `${minutes}:${two(at.getSeconds())}` : minutes;
}

/** `2026-11-30 10:42:07`, by this browser's zone. */
export function dateTime(at_s: number | null | undefined): string {
  if (at_s === null || at_s === undefined) return UNKNOWN;
  const at = new Date(at_s * 1000);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clockTime(at_s)}`;
}

/** Indices as people write them: `0-3, 5`. */
export function indices(values: readonly number[]): string {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (to + 1 < sorted.length && sorted[to + 1] === (sorted[to] ?? 0) + 1) to += 1;
    parts.push(to > from ? `${sorted[from]}-${sorted[to]}` : `${sorted[from]}`);
    from = to + 1;
  }
  return parts.join(", ");
}

/** The name of a GPU without its maker: `H100 80GB HBM3`. */
export function gpuModel(name: string): string {
  return name.replace(/^NVIDIA\s+/i, "").replace(/^GeForce\s+/i, "");
}

/** Text of a file as it is shown: what has no shape, or turns the order of letters around, as its number. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
