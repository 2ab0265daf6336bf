import type { PlanRequest } from "../api/types";

type SubmitOptions = NonNullable<PlanRequest["options"]>;

/** What is said beside the scripts, as it stands in the fields. Empty: what the script says. */
export interface Fields {
  gpus: string;
  memory: string;
  queue: string;
  time: string;
  after: string;
  priority: string;
  retries: string;
  signal: string;
  array: string;
  cwd: string;
  arguments: string;
}

export const NO_FIELDS: Fields = {
  gpus: "",
  memory: "",
  queue: "",
  time: "",
  after: "",
  priority: "",
  retries: "",
  signal: "",
  array: "",
  cwd: "",
  arguments: "",
};

/** Words, in quotes where they hold spaces. */
export function words(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((found) => found[1] ?? found[2] ?? found[3] ?? "");
}

/** Whether a priority is one. */
export function isPriority(text: string): boolean {
  return text.trim() === "" || /^\d{1,3}$/.test(text.trim());
}

/** The part of a request that says what is said beside the scripts. */
export function optionsOf(fields: Fields): SubmitOptions {
  const said = (text: string): string | null => (text.trim() === "" ? null : text.trim());
  return {
    gpus: said(fields.gpus),
    memory: said(fields.memory),
    queue: said(fields.queue),
    time: said(fields.time),
    retries: said(fields.retries),
    signal: said(fields.signal),
    array: said(fields.array),
    cwd: said(fields.cwd),
    after: fields.after.split(/[\s,]+/).filter(Boolean),
    arguments: words(fields.arguments),
    priority: fields.priority.trim() && isPriority(fields.priority) ? Number(fields.priority) : null,
  };
}
