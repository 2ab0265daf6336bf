import { expect, test } from "vitest";

import { fieldKind, lineKind, numberKind } from "./commandLines";

test("each line is what the parser takes it for", () => {
  expect(lineKind("  ", false)).toBe("empty");
  expect(lineKind("# queue 1", true)).toBe("comment");
  expect(lineKind("12", false)).toBe("number");
  expect(lineKind("20 GB  # of memory", false)).toBe("number");
  expect(lineKind("1-4", false)).toBe("number");
  expect(lineKind("1,20", false)).toBe("last");
  expect(lineKind("1，2，20", false)).toBe("last");
  expect(lineKind("python a.py --seed 1", false)).toBe("command");
  expect(lineKind("echo a, b", false)).toBe("command");
  expect(lineKind(`python ${"x".repeat(200)}`, false)).toBe("command");
  expect(lineKind("command_tasks = [", true)).toBe("python");
  expect(lineKind("[ -f a ] && b", false)).toBe("command");
});

test("a number means what its place in the block says", () => {
  expect(numberKind(0, 0, true)).toBe("queue");
  expect(numberKind(2, 1, true)).toBe("gpus");
  expect(numberKind(2, 2, true)).toBe("memory");
  expect(numberKind(2, 1, false)).toBe("memory");
  expect([0, 1, 2].map((at) => fieldKind(at, true))).toEqual(["queue", "gpus", "memory"]);
  expect([0, 1].map((at) => fieldKind(at, false))).toEqual(["queue", "memory"]);
});
