import { describe, expect, it } from "vitest";

import { hitsIn, marked, paletteColor, pieces, sgrAfter, visible, wordsOf } from "./ansi";
import { appended, followed, followFrom, heldOf, prepended, ROWS_MAX, type LogRow, type LogWindow } from "./model";

function row(o: number, t: string, more: Partial<LogRow> = {}): LogRow {
  return { o, n: t.length + 1, t, r: 0, c: 0, p: false, u: false, ...more };
}

function windowOf(rows: LogRow[], more: Partial<LogWindow> = {}): LogWindow {
  const first = rows[0]?.o ?? 0;
  const last = rows[rows.length - 1];
  return {
    rows,
    first,
    next: last ? last.o + last.n : first,
    size_bytes: 10_000,
    inode: "a",
    is_start: false,
    is_end: false,
    sgr: "",
    line: null,
    lines: null,
    replaced_bytes: 0,
    encoding: "utf-8",
    is_running: true,
    ...more,
  };
}

describe("rows of a log", () => {
  it("join only where one ends and the other begins", () => {
    const held = heldOf(windowOf([row(10, "b")], { line: 3 }));
    expect(prepended(held, windowOf([row(0, "a")]))).toBe(held);
    expect(prepended(held, windowOf([row(8, "a")], { line: 2 })).lines.map((one) => one.number)).toEqual([2, 3]);
    expect(appended(held, windowOf([row(13, "c")]))).toBe(held);
    expect(appended(held, windowOf([row(12, "c")])).lines.map((one) => one.number)).toEqual([3, 4]);
    expect(appended(held, windowOf([row(12, "c")], { inode: "b" }))).toBe(held);
  });

  it("are trimmed at the far end", () => {
    const many = Array.from({ length: ROWS_MAX }, (_, at) => row(at * 2, "x"));
    const held = heldOf(windowOf(many, { line: 1 }));
    const down = appended(held, windowOf([row(ROWS_MAX * 2, "y")]));
    expect(down.lines.length).toBe(ROWS_MAX);
    expect(down.first).toBe(2);
    expect(down.lines[0]?.number).toBe(2);
    const up = prepended({ ...held, first: 0 }, windowOf([row(-2, "z")]));
    expect(up.lines.length).toBe(ROWS_MAX);
    expect(up.next).toBe((ROWS_MAX - 1) * 2);
  });

  it("of an unfinished line are replaced while they grow, and keep their number", () => {
    const held = heldOf(windowOf([row(0, "a"), row(2, "ste", { n: 3, u: true })], { line: 1, lines: 1 }));
    expect(followFrom(held)).toBe(2);
    const event = { rows: [row(2, "step 1"), row(9, "b")], next: 11, size_bytes: 11, inode: "a", skipped_bytes: 0, replaces_from: 2 };
    const grown = followed(held, event);
    expect(grown.lines.map((one) => [one.row.t, one.number])).toEqual([["a", 1], ["step 1", 2], ["b", 3]]);
    expect(grown.count).toBe(3);
  });

  it("that were left out are told", () => {
    const held = heldOf(windowOf([row(0, "a")], { line: 1 }));
    const event = { rows: [row(900, "z")], next: 902, size_bytes: 902, inode: "a", skipped_bytes: 898, replaces_from: null };
    expect(followed(held, event).lines.map((one) => [one.row.t, one.gap, one.number])).toEqual([["z", 898, null]]);
  });
});

describe("rows that are followed anew", () => {
  it("take the place of an unfinished one, whether the server knows that it was or not", () => {
    const held = heldOf(windowOf([row(0, "a"), row(2, "ste", { n: 3, u: true })], { line: 1, lines: 1 }));
    const event = { rows: [row(2, "step 1"), row(9, "b")], next: 11, size_bytes: 11, inode: "a", skipped_bytes: 0, replaces_from: null };
    expect(followed(held, event).lines.map((one) => [one.row.t, one.number])).toEqual([["a", 1], ["step 1", 2], ["b", 3]]);
  });

  it("stand alone where they do not join what is held", () => {
    const held = heldOf(windowOf([row(0, "a")], { line: 1 }));
    const event = { rows: [row(50, "z")], next: 52, size_bytes: 52, inode: "a", skipped_bytes: 0, replaces_from: null };
    expect(followed(held, event).lines.map((one) => [one.row.t, one.gap, one.number])).toEqual([["z", 48, null]]);
  });
});

describe("colours", () => {
  it("go on from row to row until they are reset", () => {
    const red = "\x1b[31m";
    expect(sgrAfter("", `${red}a`)).toBe(red);
    expect(sgrAfter(red, "b\x1b[0m")).toBe("");
    expect(pieces("b", red)[0]?.classes).toBe("ansi-red");
  });

  it("leave nothing of other sequences, and no character that does something", () => {
    expect(visible("a\x1b]8;;http://x\x07link\x1b]8;;\x07\x1b[2K\x1b[1;31mred\x1b[0m\u202eb\x00")).toBe("alinkred·b·");
    expect(pieces("\x1b]0;title\x07<script>", "").map((one) => one.text)).toEqual(["<script>"]);
    expect(pieces("cut \x1b[3", "").map((one) => one.text).join("")).toBe("cut ");
  });

  it("may be written with colons, and end after some hundred changes", () => {
    expect(pieces("\x1b[38:5:196mx", "")[0]?.color).toBe("rgb(255, 0, 0)");
    expect(pieces("\x1b[38:2::1:2:3mx", "")[0]?.color).toBe("rgb(1, 2, 3)");
    const many = pieces("a\x1b[31mb\x1b[32mc".repeat(1000), "");
    expect(many.length).toBe(400);
    expect(many.map((one) => one.text).join("")).toBe("abc".repeat(1000));
  });

  it("of the 256 are xterm's", () => {
    expect(paletteColor(196)).toBe("rgb(255, 0, 0)");
    expect(paletteColor(244)).toBe("rgb(128, 128, 128)");
    expect(pieces("\x1b[38;5;196mx", "")[0]?.color).toBe("rgb(255, 0, 0)");
    expect(pieces("\x1b[38;2;1;2;3mx", "")[0]?.color).toBe("rgb(1, 2, 3)");
  });
});

describe("a search", () => {
  it("takes capitals for themselves where one was typed", () => {
    expect(hitsIn("Error error", wordsOf("error")!)).toEqual([[0, 5], [6, 11]]);
    expect(hitsIn("Error error", wordsOf("Error")!)).toEqual([[0, 5]]);
    expect(hitsIn("oom or nan", wordsOf("nan|oom")!)).toEqual([[0, 3], [7, 10]]);
    expect(wordsOf("|")).toBeNull();
  });

  it("marks hits across pieces of different colours", () => {
    const found = marked(pieces("\x1b[31mOut\x1b[0mOfMemory", ""), wordsOf("OutOf"));
    expect(found.map((one) => [one.text, one.hit ?? -1, one.classes])).toEqual([
      ["Out", 0, "ansi-red"],
      ["Of", 0, ""],
      ["Memory", -1, ""],
    ]);
  });
});
