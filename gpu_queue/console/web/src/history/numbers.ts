import { thousands, UNKNOWN } from "../ui/format";

const fewDigits = (value: number): string => (value >= 99.95 ? thousands(value) : value >= 9.95 ? value.toFixed(1) : value.toFixed(2));

/** GPU-hours: `0.42`, `12.4`, `1,204`. */
export function hours(seconds: number | null | undefined): string {
  return seconds === null || seconds === undefined ? UNKNOWN : fewDigits(seconds / 3600);
}

/** Kilowatt hours of joules. */
export function kWh(joules: number | null | undefined): string {
  return joules === null || joules === undefined ? UNKNOWN : fewDigits(joules / 3.6e6);
}

/** `93 %`, `0.4 %`; null: there is nothing to be a share of. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return UNKNOWN;
  const value = (100 * part) / whole;
  return `${value > 0 && value < 0.95 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** The mean of what is known; null: nothing is. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((one): one is number => one !== null);
  return known.length > 0 ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
}
