import { describe, expect, it } from "vitest";

import type { Delta, Living, Snapshot } from "../api/types";
import { Clock } from "./clock";
import { mergePatch } from "./patch";
import { EventParser } from "./sse";
import { LivingStore } from "./store";

describe("a merge patch", () => {
  it.each([
    // The examples of RFC 7396, appendix A, that a patch that is an object has.
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [["a", "b"], ["c", "d"], ["c", "d"]],
    [{ a: "foo" }, "bar", "bar"],
  ])("of %j by %j is %j", (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  it("keeps what it does not touch the same object", () => {
    const before = { a: { x: 1 }, b: { y: 1 } };
    const after = mergePatch(before, { a: { x: 2 } }) as typeof before;
    expect(after.b).toBe(before.b);
    expect(before.a.x).toBe(1);
  });

  it("does not reach what all objects share", () => {
    mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}'));
    expect("polluted" in {}).toBe(false);
  });
});

describe("a stream of events", () => {
  const text = ': hello\n\nevent: delta\nid: a-7\ndata: {"x":\ndata: 1}\n\ndata: plain\r\n\r\n';

  it("is the same however it is cut", () => {
    const whole = new EventParser().push(text);
    expect(whole).toEqual([
      { event: "delta", data: '{"x":\n1}', id: "a-7" },
      { event: "message", data: "plain", id: "a-7" },
    ]);
    for (let cut = 0; cut < text.length; cut += 1) {
      const parser = new EventParser();
      expect([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))], `cut at ${cut}`).toEqual(whole);
    }
  });
});

describe("the clock", () => {
  it("takes the message that was the least time under way", () => {
    const clock = new Clock();
    clock.told(100, 50.4);
    clock.told(102, 52);
    clock.told(104, 54.9);
    expect(clock.now_s(60)).toBe(110);
  });

  it("follows a clock that was set back", () => {
    const clock = new Clock();
    clock.told(100, 50);
    clock.told(10, 52);
    expect(clock.now_s(52)).toBe(10);
  });
});

function snapshot(): Snapshot {
  const living = {
    counts: { waiting: 1, running: 1, done: 0, failed: 0 },
    nodes: { n: { title: "n", written_at_s: 10, gpus: ["n/a"] } },
    gpus: { "n/a": { utilization_percent: 5 }, "n/b": { utilization_percent: 6 } },
    flags: {},
  };
  return { id: "e-1", now_s: 10, living: living as unknown as Living, recent: { "n/a": [{ at_s: 10, percent: 5 }] } };
}

function heardTopics(patch: Delta["patch"]): string[] {
  const store = new LivingStore();
  store.replace(snapshot());
  const heard: string[] = [];
  for (const topic of ["gpus/n/a", "gpus/n/b", "gpus", "nodes/n", "counts", "recent/n/a", "gpus/*"]) {
    store.subscribe(topic, () => heard.push(topic));
  }
  store.apply({ id: "e-2", now_s: 12, patch });
  return heard.sort();
}

describe("the store", () => {
  it("tells only those who look at what changed", () => {
    expect(heardTopics({ gpus: { "n/a": { utilization_percent: 9 } } })).toEqual(["gpus/*", "gpus/n/a"]);
    expect(heardTopics({ counts: { waiting: 2 } })).toEqual(["counts"]);
  });

  it("tells of keys that come and go", () => {
    expect(heardTopics({ gpus: { "n/b": null } })).toEqual(["gpus", "gpus/*", "gpus/n/b"]);
  });

  it("takes a sample when a node has written anew, also of the same number", () => {
    expect(heardTopics({ nodes: { n: { written_at_s: 12 } } })).toEqual(["nodes/n", "recent/n/a"]);
    const store = new LivingStore();
    store.replace(snapshot());
    store.apply({ id: "e-2", now_s: 12, patch: { nodes: { n: { written_at_s: 12 } } } });
    expect(store.recent("n/a")).toEqual([
      { at_s: 10, percent: 5 },
      { at_s: 12, percent: 5 },
    ]);
  });
});
