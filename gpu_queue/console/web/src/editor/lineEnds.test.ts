import { expect, test } from "vitest";

import { leastChange, lineEnd } from "./lineEnds";

test("only a text whose lines all end in CR LF has such ends", () => {
  expect(lineEnd("a\r\nb\r\n")).toBe("\r\n");
  expect(lineEnd("a\nb\n")).toBe("\n");
  expect(lineEnd("a\r\nb\n")).toBe("\n");
  expect(lineEnd("\na\r\n")).toBe("\n");
  expect(lineEnd("a\rb\r\n")).toBe("\n");
  expect(lineEnd("a")).toBe("\n");
});

test("the least change makes one text of another", () => {
  for (const [old, next] of [
    ["", ""],
    ["", "abc"],
    ["abc", ""],
    ["aaa", "aaaa"],
    ["aaaa", "aa"],
    ["one two three", "one 2 three"],
    ["abcabc", "abc"],
  ] as const) {
    const { from, to, insert } = leastChange(old, next);
    expect(old.slice(0, from) + insert + old.slice(to)).toBe(next);
    expect(to).toBeGreaterThanOrEqual(from);
  }
  expect(leastChange("one two three", "one 2 three")).toEqual({ from: 4, to: 7, insert: "2" });
});
