import { useSyncExternalStore } from "react";

import type { Plan, PlanOutcome, PlanRequest } from "../../api/types";

/** What somebody wants: the request, and who wants to know what came of it. */
export interface Asked {
  id: number;
  request: PlanRequest;
  onFinished?: ((outcome: PlanOutcome) => void) | undefined;
  /** The plan, where it was made by another request. */
  plan?: Plan | undefined;
}

let all: readonly Asked[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function change(next: readonly Asked[]): void {
  all = next;
  for (const listener of listeners) listener();
}

/** Begins a change: what it will do is said, confirmed where that is needed, then done. */
export function ask(request: PlanRequest, onFinished?: (outcome: PlanOutcome) => void, plan?: Plan): void {
  lastId += 1;
  change([...all, { id: lastId, request, onFinished, plan }]);
}

/** It has come to its end. */
export function forget(id: number): void {
  change(all.filter((one) => one.id !== id));
}

/** Changes that are under way. */
export function useAsked(): readonly Asked[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
}
