import { msg } from "@lingui/core/macro";

/** The links of the top bar and of the foot bar, with their keys behind `g`. */
export const PAGES = [
  { to: "/ui/gpu", key: "g s", label: msg`GPUs`, go: msg`Go to GPUs` },
  { to: "/ui/state", key: "g t", label: msg`Tasks`, go: msg`Go to tasks` },
  { to: "/ui/command", key: "g c", label: msg`Job files`, go: msg`Go to job files` },
  { to: "/ui/setting", key: "g ,", label: msg`Settings`, go: msg`Go to settings` },
] as const;
