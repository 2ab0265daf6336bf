/** Names of what goes over the wire: docs and types come from the models of the server (schema.ts is generated). */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Wire<Name extends keyof Schemas> = Schemas[Name];

export type Attention = Wire<"Attention">;
export type ConsoleInfo = Wire<"ConsoleInfo">;
export type Counts = Wire<"Counts">;
export type Delta = Wire<"Delta">;
export type Ended = Wire<"Ended">;
export type Gpu = Wire<"Gpu">;
export type History = Wire<"History">;
export type Interval = Wire<"Interval">;
export type Lane = Wire<"Lane">;
export type Living = Wire<"Living">;
export type Node = Wire<"Node">;
export type Plan = Wire<"Plan">;
export type PlanOutcome = Wire<"PlanOutcome">;
/** What a request may leave out, for the server has a default of it. */
export type PlanRequest = Pick<Wire<"PlanRequest">, "action"> & Partial<Omit<Wire<"PlanRequest">, "options" | "filter">> & {
  filter?: Partial<TaskFilter> | null;
  options?: Partial<Wire<"SubmitOptions">>;
};
export type ProblemDetails = Wire<"ProblemDetails">;
export type Queue = Wire<"Queue">;
export type Running = Wire<"Running">;
export type Sample = Wire<"Sample">;
export type Snapshot = Wire<"Snapshot">;
export type SpoolEntry = Wire<"SpoolEntry">;
export type SpoolList = Wire<"SpoolList">;
export type StreamNote = Wire<"StreamNote">;
export type TaskDetail = Wire<"TaskDetail">;
export type TaskFilter = Wire<"TaskFilter">;
export type TaskPage = Wire<"TaskPage">;
export type TaskRow = Wire<"TaskRow">;
export type Timeline = Wire<"Timeline">;
export type Use = Gpu["use"];
export type Versions = Wire<"Versions">;
export type Waiting = Wire<"Waiting">;
export type WhyWaits = Wire<"WhyWaits">;
export type Words = Wire<"Words">;
