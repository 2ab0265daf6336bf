import type { UseName } from "./usage";

/** From below: what does work first. */
export const ORDER: readonly UseName[] = ["task", "keepalive", "foreign", "lost", "unknown", "idle"];
