import { expect, test } from "vitest";

import { hours, kWh, meanOf, percent } from "./numbers";

test("hours and kilowatt hours have as many digits as are read", () => {
  expect([hours(1512), hours(44_640), hours(4_334_400), hours(null)]).toEqual(["0.42", "12.4", "1,204", "–"]);
  expect(kWh(3.6e6)).toBe("1.00");
});

test("shares of nothing are not known, and small ones are not nothing", () => {
  expect([percent(1, 3), percent(4, 1000), percent(0, 10), percent(1, 0)]).toEqual(["33 %", "0.4 %", "0 %", "–"]);
});

test("a mean is of what is known", () => {
  expect([meanOf([1, null, 3]), meanOf([null])]).toEqual([2, null]);
});
