import { expect, test } from "vitest";

import { diff, type DiffRow } from "./diff";

const told = (rows: DiffRow[]): string[] =>
  rows.map((row) => (row.kind === "gap" ? `…${row.lines}` : `${{ same: " ", old: "-", new: "+" }[row.kind]}${row.text}`));

test("what was changed is told with two lines around it", () => {
  const old = "a\nb\nc\nd\ne\nf\ng\nh";
  expect(told(diff(old, old.replace("e", "E\nEE")))).toEqual(["…2", " c", " d", "-e", "+E", "+EE", " f", " g", "…1"]);
  expect(diff(old, old)).toEqual([{ kind: "gap", lines: 8 }]);
});

test("each line has its number in either text", () => {
  const found = diff("x\na\nb", "a\nb\ny");
  expect(found).toEqual([
    { kind: "old", text: "x", old: 1, new: null },
    { kind: "same", text: "a", old: 2, new: 1 },
    { kind: "same", text: "b", old: 3, new: 2 },
    { kind: "new", text: "y", old: null, new: 3 },
  ]);
});

test("texts that have nothing in common, and texts that are too long to compare, are told whole", () => {
  expect(told(diff("a", "b"))).toEqual(["-a", "+b"]);
  const long = (letter: string): string => Array.from({ length: 2100 }, (_, at) => `${letter}${at}`).join("\n");
  const rows = diff(long("a"), long("b"));
  expect(rows.filter((row) => row.kind === "old")).toHaveLength(2100);
  expect(rows.filter((row) => row.kind === "new")).toHaveLength(2100);
});
