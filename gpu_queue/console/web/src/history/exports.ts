import { csvOf } from "../ui/csv";
import { ORDER } from "./order";
import type { Usage, Users } from "./usage";

/** A row a step; names of columns are the same in all languages. */
export function csvOfUsage(usage: Usage): string {
  const by = new Map(usage.uses.map((one) => [one.use, one.gpus]));
  const head = ["from", "step_s", "utilization_mean_percent", "utilization_low_percent", "utilization_high_percent", "power_w"];
  return csvOf(
    [...head, ...ORDER.map((use) => `gpus_${use}`)],
    usage.at_s.map((at_s, at) => [
      new Date(at_s * 1000).toISOString(),
      usage.step_s,
      usage.mean_percent[at],
      usage.low_percent[at],
      usage.high_percent[at],
      usage.power_w[at],
      ...ORDER.map((use) => by.get(use)?.[at]),
    ]),
  );
}

export function csvOfUsers(users: Users): string {
  const parts = [
    ["user", users.users],
    ["queue", users.queues],
    ["day", users.days],
  ] as const;
  return csvOf(
    ["by", "name", "gpu_hours", "failed_gpu_hours", "tasks", "tries"],
    parts.flatMap(([by, rows]) =>
      rows.map((one) => [by, one.name, (one.gpu_s / 3600).toFixed(4), (one.failed_gpu_s / 3600).toFixed(4), one.tasks, one.tries]),
    ),
  );
}
