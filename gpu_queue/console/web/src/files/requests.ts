import { spool } from "../api/base";
import { client } from "../api/client";
import type { Plan, Wire } from "../api/types";
import type { Mode, Which } from "./names";

export type Checked = Wire<"Checked">;
export type FileProblem = Wire<"FileProblem">;
export type Jobfile = Wire<"Jobfile">;
export type JobfileEntry = Wire<"JobfileEntry">;
export type JobfileList = Wire<"JobfileList">;
export type PlannedLoad = Wire<"PlannedLoad">;
export type Saved = Wire<"Saved">;
export type Trashed = JobfileList["trash"][number];
export type TreeQueue = Wire<"TreeQueue">;
export type TreeTask = Wire<"TreeTask">;
export type Binding = Wire<"Binding">;

const at = (job: string, { mode, index }: Which, ...rest: string[]): string => spool(job, "jobfiles", mode, index, ...rest);

/** What the server does with job files. Each throws ApiError. */
export const files = {
  list: (job: string, signal?: AbortSignal) => client.get<JobfileList>(spool(job, "jobfiles"), { signal }),
  read: (job: string, which: Which, signal?: AbortSignal) => client.get<Jobfile>(at(job, which), { signal }),
  check: (job: string, which: Which, text: string, signal?: AbortSignal) =>
    client.post<Checked>(spool(job, "jobfiles", "check"), { mode: which.mode, index: which.index, text }, { signal }),
  make: (job: string, wish: { mode: Mode; name?: string; from_index?: string; text?: string }) =>
    client.post<Saved>(spool(job, "jobfiles"), wish),
  save: (job: string, which: Which, wish: { text: string; etag: string | null; draft: boolean; work_dir?: string }) =>
    client.put<Saved>(at(job, which), wish),
  remove: (job: string, which: Which) => client.delete<Wire<"Deleted">>(at(job, which)),
  restore: (job: string, which: Which, trash: string) => client.post<Saved>(at(job, which, "restore"), { trash }),
  plan: (job: string, which: Which, again: boolean, signal?: AbortSignal) =>
    client.post<Plan>(at(job, which, "plan"), { again }, { signal }),
  /** What stops and cancels all that was loaded from it, as a plan. */
  stop: (job: string, which: Which) => client.post<Plan>(at(job, which, "stop"), {}),
  bindings: (job: string, signal?: AbortSignal) => client.get<Binding[]>("api/log/bindings", { query: { job }, signal }),
};

