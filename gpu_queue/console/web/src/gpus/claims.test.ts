import { expect, test } from "vitest";

import { taskOf } from "./claims";

test("a claim tells the id and the name of its task", () => {
  const id = "20261130T122929918-920d72-train.try1.sh";
  expect(taskOf(`500-${id}.try2.908191`)).toEqual({ id, title: "train.try1.sh" });
});

test("what is no claim stands for itself", () => {
  expect(taskOf("train.sh")).toEqual({ id: "train.sh", title: "train.sh" });
});
