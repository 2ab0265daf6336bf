import { describe, expect, it, vi } from "vitest";

import { ApiError } from "../../api/client";
import type { LogRow, LogWindow } from "./model";
import { END, LogReader, type FollowEvent, type LogSource, type Surroundings } from "./reader";

// The addresses of requests are made from the page's.
vi.hoisted(() => vi.stubGlobal("document", { baseURI: "http://127.0.0.1/" }));

function problem(status: number, code: string): ApiError {
  return new ApiError({ status, title: code, detail: "", code, params: {} });
}

/** A log of lines of five bytes (`l000\n`) that grows, goes away, and is followed. */
class Log implements LogSource {
  lines = 1000;
  inode = "a";
  fault: ApiError | null = null;
  asked: number[] = [];
  followers: { after: number; hear: (event: FollowEvent) => void; end: (error?: Error) => void }[] = [];

  row(at: number): LogRow {
    return { o: at * 5, n: 5, t: `l${String(at).padStart(3, "0")}`, r: 0, c: 0, p: false, u: false };
  }

  async window({ anchor, before, after }: { anchor: number; before: number; after: number }): Promise<LogWindow> {
    this.asked.push(anchor);
    await Promise.resolve();
    if (this.fault) throw this.fault;
    const at = anchor < 0 ? this.lines : Math.min(this.lines, Math.floor(anchor / 5));
    const from = Math.max(0, at - before);
    const to = Math.min(this.lines, at + after);
    const rows = Array.from({ length: to - from }, (_, index) => this.row(from + index));
    return {
      rows,
      first: from * 5,
      next: to * 5,
      size_bytes: this.lines * 5,
      inode: this.inode,
      is_start: from === 0,
      is_end: to === this.lines,
      sgr: "",
      line: from + 1,
      lines: this.lines,
      replaced_bytes: 0,
      encoding: "utf-8",
      is_running: true,
    };
  }

  follow(after: number, signal: AbortSignal, hear: (event: FollowEvent) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => (error ? reject(error) : resolve());
      this.followers.push({ after, hear, end });
      signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    });
  }

  /** What the stream tells first: the file as it is. A reader that will not have it ends the stream. */
  begin(): void {
    const size = this.lines * 5;
    const follower = this.followers[this.followers.length - 1];
    try {
      follower?.hear({ rows: { rows: [], next: size, size_bytes: size, inode: this.inode, skipped_bytes: 0, replaces_from: null } });
    } catch (error) {
      follower?.end(error as Error);
    }
  }

  print(count: number): void {
    const from = this.lines;
    this.lines += count;
    const rows = Array.from({ length: count }, (_, index) => this.row(from + index));
    const size = this.lines * 5;
    this.followers[this.followers.length - 1]?.hear({ rows: { rows, next: size, size_bytes: size, inode: this.inode, skipped_bytes: 0, replaces_from: null } });
  }
}

const soon: Surroundings = {
  wait: () => new Promise((resolve) => setTimeout(resolve)),
  seen: () => Promise.resolve(),
  whileSeen: (signal, work) => work(signal),
};

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 500) throw new Error("it never came to that");
    await new Promise((resolve) => setTimeout(resolve));
  }
}

const texts = (reader: LogReader): string[] => (reader.state.held?.lines ?? []).map((line) => line.row.t);

describe("a reader of a log", () => {
  it("shows what was wished last, whatever is on its way", async () => {
    const log = new Log();
    const reader = new LogReader(log, soon);
    void reader.jump(0);
    void reader.jump(1000);
    await reader.jump(2500);
    expect(log.asked).toEqual([0, 2500]);
    expect(texts(reader)).toContain("l500");
  });

  it("asks again for the same place while the console is away", async () => {
    const log = new Log();
    log.fault = problem(0, "no_answer");
    const reader = new LogReader(log, soon);
    const jumping = reader.jump(2500);
    await until(() => log.asked.length > 2);
    expect(reader.state.error?.code).toBe("no_answer");
    log.fault = null;
    await jumping;
    expect(new Set(log.asked)).toEqual(new Set([2500]));
    expect(reader.state).toMatchObject({ error: null });
  });

  it("asks once where the answer will not change", async () => {
    const log = new Log();
    log.fault = problem(404, "no_log");
    const reader = new LogReader(log, soon);
    await reader.jump(END);
    expect(log.asked).toEqual([END]);
  });

  it("joins windows, and holds no more than three thousand rows", async () => {
    const log = new Log();
    log.lines = 9000;
    const reader = new LogReader(log, soon);
    await reader.jump(20_000);
    for (let round = 0; round < 12; round += 1) {
      const { first } = reader.state.held ?? { first: 0 };
      reader.before();
      await until(() => reader.state.held?.first !== first || first === 0);
    }
    expect(texts(reader).length).toBe(3000);
    expect(texts(reader)[0]).toBe("l900");
    reader.after();
    await until(() => texts(reader)[0] !== "l900");
    expect(texts(reader)).toEqual(Array.from({ length: 3000 }, (_, at) => `l${1150 + at}`));
  });

  it("follows what is printed, and goes on where it was when the stream breaks", async () => {
    const log = new Log();
    const reader = new LogReader(log, soon);
    reader.follow(true);
    await until(() => log.followers.length === 1);
    expect(log.followers[0]?.after).toBe(5000);
    log.print(2);
    expect(texts(reader).slice(-2)).toEqual(["l1000", "l1001"]);
    log.lines += 3;
    log.followers[0]?.end(new TypeError("network"));
    await until(() => log.followers.length === 2);
    expect(log.followers[1]?.after).toBe(5010);
    expect(reader.state.isFollowing).toBe(true);
  });

  it("reads another file anew, also where it was changed while nobody was connected", async () => {
    const log = new Log();
    const reader = new LogReader(log, soon);
    reader.follow(true);
    await until(() => log.followers.length === 1);
    log.inode = "b";
    log.lines = 10;
    log.followers[0]?.end();
    await until(() => log.followers.length === 2);
    log.begin();
    await until(() => log.followers.length === 3);
    expect(reader.state.sign?.sign).toBe("replaced");
    expect(texts(reader).length).toBe(10);
    expect(log.followers[2]?.after).toBe(50);
  });

  it("sees that a file was cut before it was followed", async () => {
    const log = new Log();
    const reader = new LogReader(log, soon);
    reader.follow(true);
    await until(() => log.followers.length === 1);
    log.lines = 1;
    log.begin();
    await until(() => log.followers.length === 2);
    expect(reader.state.sign?.sign).toBe("cut");
    expect(texts(reader)).toEqual(["l000"]);
  });

  it("ends with the task, and when somebody stops it", async () => {
    const log = new Log();
    const reader = new LogReader(log, soon);
    reader.follow(true);
    await until(() => log.followers.length === 1);
    log.followers[0]?.hear({ state: { state: "ended", text: "" } });
    log.followers[0]?.end();
    await until(() => !reader.state.isFollowing);
    reader.follow(true);
    await until(() => log.followers.length === 2);
    reader.follow(false);
    expect(reader.state.isFollowing).toBe(false);
  });
});
