import { useSyncExternalStore } from "react";

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
