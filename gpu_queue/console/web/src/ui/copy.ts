/** Puts a text on the clipboard; false: the browser does not let us. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Not allowed: the old way is tried.
  }
  // Plain http, not on loopback: there is no clipboard but by a selection.
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  area.style.position = "fixed";
  area.style.opacity = "0";
  const before = document.activeElement;
  // In an open dialog everything outside of it is inert.
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isDone;
}

/** The address of what is shown, with the queue it is about: whoever opens it sees the same. */
export function sharedLink(job: string, now: string = location.href): string {
  const link = new URL(now);
  link.hash = "";
  link.searchParams.set("job", job);
  return link.href;
}
