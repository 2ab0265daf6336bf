import type { FocusEvent, PointerEvent } from "react";

/*
 * Whoever points at a task lights it everywhere. Parts say whose they are by `data-task` (ids, with spaces between
 * them); one rule in one sheet of our own sets `--lit` on all of them. React draws nothing anew for that.
 */
const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

let current: string | null = null;

/** Lights one task, or none. */
export function light(task: string | null): void {
  if (task === current) return;
  current = task;
  sheet.replaceSync(task === null ? "" : `[data-task~="${CSS.escape(task)}"] { --lit: var(--selected); --lit-line: var(--accent); }`);
}

function taskOf(target: EventTarget): string | null {
  const element = target instanceof Element ? target.closest("[data-task]") : null;
  return element?.getAttribute("data-task")?.split(" ")[0] || null;
}

/** For the element around everything that can be lit. */
export const lights = {
  onPointerOver: (event: PointerEvent): void => light(taskOf(event.target)),
  onPointerLeave: (): void => light(null),
  onFocus: (event: FocusEvent): void => light(taskOf(event.target)),
  onBlur: (): void => light(null),
};
