import { describe, expect, test } from "vitest";

import type { Run } from "./batches";
import { chosen } from "./columns";

const EMPTY: Run = {
  key: "",
  short: "",
  name: "",
  job: "",
  group: "",
  params: [],
  state: "done",
  outcome: "",
  error_type: "",
  reason: "",
  tries: 1,
  unknown_tries: 0,
  submitted_at_s: null,
  started_at_s: null,
  ended_at_s: null,
  waited_s: null,
  between_s: null,
  ran_s: null,
  last_ran_s: null,
  gpus: null,
  gpu_s: null,
  memory_asked_bytes: null,
  memory_peak_bytes: null,
  memory: "",
  utilization_percent: null,
  node: "",
  queue: "",
};

const run = (name: string, params: string[], more: Partial<Run> = {}): Run => ({ ...EMPTY, key: name, name, params, ...more });

const RUNS = [run("a10", ["1e-3"], { ran_s: 5 }), run("a2", ["3e-5"], { ran_s: null, state: "failed", error_type: "oom" }), run("a1", ["1e-4"], { ran_s: 9 })];

describe("the runs of a batch", () => {
  const names = (sort?: string, state?: string, q = ""): string[] => chosen(RUNS, sort, state, q).map((one) => one.name);

  test("stand in the order of the batch, or in that of a column", () => {
    expect(names()).toEqual(["a10", "a2", "a1"]);
    expect(names("name")).toEqual(["a1", "a2", "a10"]);
    expect(names("p0")).toEqual(["a2", "a1", "a10"]);
    expect(names("-p0")).toEqual(["a10", "a1", "a2"]);
  });

  test("what is not known comes last in any direction", () => {
    expect([names("ran"), names("-ran")]).toEqual([["a10", "a1", "a2"], ["a1", "a10", "a2"]]);
  });

  test("are filtered by state and by words", () => {
    expect([names(undefined, "failed"), names(undefined, undefined, "OOM"), names(undefined, "done", "oom")]).toEqual([["a2"], ["a2"], []]);
  });
});
