import { prefs, type Theme } from "../ui/prefs";

const light = matchMedia("(prefers-color-scheme: light)");

/** What is shown: the choice of this browser, else the system's. */
export function shownTheme(): Theme {
  return prefs.get().theme ?? (light.matches ? "light" : "dark");
}

/** Keeps the page in the theme; theme.js has set it before the first paint. */
export function followTheme(): void {
  const show = (): void => {
    document.documentElement.dataset["theme"] = shownTheme();
  };
  show();
  prefs.subscribe(show);
  light.addEventListener("change", show);
}
