import { describe, expect, test } from "vitest";

import { csvOf } from "./csv";

describe("a table as CSV", () => {
  test("quotes what needs it, and leaves empty what is not known", () => {
    expect(csvOf(["a", "b"], [["x,y", 'say "no"'], [null, 0]])).toBe('a,b\n"x,y","say ""no"""\n,0\n');
  });
  test("no cell is taken for a formula, and numbers stay numbers", () => {
    expect(csvOf(["a"], [["=1+1"], ["@x"], ["－x"], ["-3.5"], [-2]])).toBe("a\n'=1+1\n'@x\n'－x\n-3.5\n-2\n");
  });
});
