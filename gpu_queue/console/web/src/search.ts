/** What stands in an address is somebody else's input: a value that is not allowed is dropped, never an error page. */
export type Raw = Record<string, unknown>;

/** One of these words. */
export function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  return allowed.find((one) => one === value);
}

/** Some text of at most so many characters; empty is none. */
export function someText(value: unknown, most: number): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= most ? value : undefined;
}

/** A whole number within bounds. */
export function whole(value: unknown, least: number, most: number): number | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  if (!/^-?\d{1,15}$/.test(String(value))) return undefined;
  const number = Number(value);
  return number >= least && number <= most ? number : undefined;
}

/** `1` or nothing. */
export function flag(value: unknown): true | undefined {
  return value === "1" || value === true ? true : undefined;
}

/** Every value is text: no JSON in addresses. */
export function parseSearch(search: string): Raw {
  return Object.fromEntries(new URLSearchParams(search));
}

export function stringifySearch(search: Raw): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === false || value === "") continue;
    params.set(name, value === true ? "1" : String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

/** What every page understands. */
export interface RootSearch {
  /** Which queue; nothing: the last one used, else the only one. */
  job?: string | undefined;
  /** The submit drawer is open. */
  submit?: true | undefined;
  /** The key of a GPU (`<node>/<uuid>`), or its UUID: its panel is open. */
  gpu?: string | undefined;
  /** How far back that panel shows; an hour. */
  past?: (typeof PASTS)[number] | undefined;
}

/** Of the panel of one GPU. */
export const PASTS = ["1h", "6h", "1d", "7d"] as const;

export function rootSearch(raw: Raw): RootSearch {
  return { job: someText(raw["job"], 255), submit: flag(raw["submit"]), gpu: someText(raw["gpu"], 600), past: oneOf(raw["past"], PASTS) };
}
