import { ask } from "./asked";

/**
 * Begins a change of the queue: `const plan = usePlan(); plan({ action: "pause" })`. The server says what it will do;
 * what stops or ends something, and all above 20 tasks, is confirmed in a dialog; then it is done, and a toast says
 * what became of it and undoes it. `<PlanHost>` of the shell shows all of this.
 */
export function usePlan(): typeof ask {
  return ask;
}
