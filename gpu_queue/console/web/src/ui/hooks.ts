import { useEffect, useSyncExternalStore } from "react";

/** Whether a media query holds; it follows the window. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => matchMedia(query).matches,
  );
}

/** Below 720 px: a phone. */
export function useIsNarrow(): boolean {
  return useMedia("(max-width: 719px)");
}

const MARK = "gpu-queue";

/** What tabs, bookmarks and the browser's list of pages call this one. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${MARK}`;
    return () => {
      document.title = MARK;
    };
  }, [title]);
}
