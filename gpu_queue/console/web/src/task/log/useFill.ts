import { useLayoutEffect, type RefObject } from "react";

const LEAST_PX = 260;

/** Gives an element the height that is left of the window between what stands above it and what stands below. */
export function useFill(element: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const one = element.current;
    const page = one?.closest("main");
    if (!one || !page) return;
    const fit = (): void => {
      const above = one.getBoundingClientRect().top + window.scrollY;
      const below = page.getBoundingClientRect().bottom - one.getBoundingClientRect().bottom;
      const height = `${Math.max(LEAST_PX, Math.floor(window.innerHeight - above - below))}px`;
      if (one.style.height !== height) one.style.height = height;
    };
    fit();
    // What stands above and below may grow: a banner, a sentence in two lines.
    const watch = new ResizeObserver(fit);
    watch.observe(page);
    window.addEventListener("resize", fit);
    return () => {
      watch.disconnect();
      window.removeEventListener("resize", fit);
    };
  }, [element]);
}
