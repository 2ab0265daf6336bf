import { expect, it } from "vitest";

import { duration, durationShort, fileSize, gib, indices, power, thousands, visible } from "./format";

it.each([
  [0, "0s"], [45, "45s"], [416, "6m56s"], [420, "7m00s"], [41_160, "11h26m"], [100_800, "1d04h"], [-3, "0s"], [null, "–"],
])("%s seconds are %s", (seconds, text) => expect(duration(seconds)).toBe(text));

it.each([[59, "59s"], [1020, "17m"], [14_400, "4h"], [300_000, "3d"]])("%s seconds are about %s", (seconds, text) =>
  expect(durationShort(seconds)).toBe(text),
);

it.each([[0, "0 B"], [999, "999 B"], [1000, "1.00 kB"], [84_000, "84.0 kB"], [1_030_000_000, "1.03 GB"], [undefined, "–"]])(
  "%s bytes are %s",
  (bytes, text) => expect(fileSize(bytes)).toBe(text),
);

it("says numbers as people read them", () => {
  expect(thousands(95_000)).toBe("95,000");
  expect(gib(44 * 2 ** 30)).toBe("44");
  expect(gib(1.5 * 2 ** 30)).toBe("1.5");
  expect(power(627.4)).toBe("627 W");
  expect(power(7312)).toBe("7.3 kW");
  expect(indices([3, 0, 1, 2, 5])).toBe("0-3, 5");
});

it("shows what would hide or turn letters", () => {
  expect(visible('a\u202egnp.exe\u0000\n\t日本')).toBe("a\\u202egnp.exe\\u0000\n\t日本");
});
