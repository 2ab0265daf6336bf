import { basePath } from "../api/base";

/**
 * A browser opens six connections a host: so one tab reads the stream of a queue and passes it on. It is the one that
 * holds a Web Lock; the browser gives it to the next tab when that one goes.
 *
 * Resolves when `lead` does, or when the signal ends it.
 */
export async function whileLeading(job: string, signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const name = `gpuq-stream:${basePath}:${job}`;
  if ("locks" in navigator) {
    await navigator.locks.request(name, { signal }, () => lead(signal)).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return;
  }
  // Plain http from elsewhere has no locks: a tab reads while somebody sees it.
  while (!signal.aborted) {
    await becomesVisible(signal);
    if (signal.aborted) return;
    const hidden = new AbortController();
    const stop = (): void => {
      if (document.hidden) hidden.abort();
    };
    document.addEventListener("visibilitychange", stop);
    await lead(AbortSignal.any([signal, hidden.signal]));
    document.removeEventListener("visibilitychange", stop);
  }
}

function becomesVisible(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look, { once: true });
    look();
  });
}
