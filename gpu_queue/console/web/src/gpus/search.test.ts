import { expect, test } from "vitest";

import { rangeFor } from "./search";

const NOW_S = 1_800_000_000;
const ago = (hours: number): { from_s: number } => ({ from_s: NOW_S - hours * 3600 });

test("what an address names stays in view however old it gets", () => {
  expect(rangeFor("6h", undefined, NOW_S)).toBe("6h");
  expect(rangeFor("6h", ago(2), NOW_S)).toBe("6h");
  expect(rangeFor("6h", ago(7), NOW_S)).toBe("1d");
  expect(rangeFor("1h", ago(30), NOW_S)).toBe("7d");
  expect(rangeFor("7d", ago(1), NOW_S)).toBe("7d");
  expect(rangeFor("1h", ago(24 * 30), NOW_S)).toBe("7d");
});
