import { spool } from "../api/base";
import { client } from "../api/client";
import type { Wire } from "../api/types";

export type Policy = Wire<"Policy">;
export type PolicyAgent = Wire<"PolicyAgent">;
export type PolicyChange = Wire<"PolicyChange">;
export type PolicyChecked = Wire<"PolicyChecked">;
export type PolicyField = Wire<"PolicyField">;
export type PolicyProblem = Wire<"PolicyProblem">;
export type PolicySaved = Wire<"PolicySaved">;
export type DiffLine = Wire<"DiffLine">;

/** Values by key; null: the default, without a line for it. */
export type Changes = Readonly<Record<string, string | null>>;

export const policies = {
  get: (job: string, signal?: AbortSignal) => client.get<Policy>(spool(job, "policy"), { signal }),
  check: (job: string, text: string, changes: Changes, base: string | null, signal?: AbortSignal) =>
    client.post<PolicyChecked>(spool(job, "policy", "check"), { text, changes, base }, { signal }),
  save: (job: string, text: string, etag: string, force: boolean) =>
    client.put<PolicySaved>(spool(job, "policy"), { text, etag, force }),
};
