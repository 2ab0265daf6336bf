import { msg } from "@lingui/core/macro";

/** Pages without a link in the foot bar, which has room for five; where the top bar is short, neither there. */
export const MORE_PAGES = [
  { to: "/ui/history", key: "g h", label: msg`History`, go: msg`Go to the history of GPUs` },
  { to: "/ui/batch", key: "g b", label: msg`Batches`, go: msg`Go to batches` },
] as const;

/** The links of the top bar and of the foot bar, with their keys behind `g`. */
export const PAGES = [
  { to: "/ui/gpu", key: "g s", label: msg`GPUs`, go: msg`Go to GPUs` },
  { to: "/ui/state", key: "g t", label: msg`Tasks`, go: msg`Go to tasks` },
  { to: "/ui/command", key: "g c", label: msg`Job files`, go: msg`Go to job files` },
  { to: "/ui/rule", key: "g r", label: msg`Policy`, go: msg`Go to the policy` },
  { to: "/ui/setting", key: "g ,", label: msg`Settings`, go: msg`Go to settings` },
] as const;
