import { lazy, Suspense } from "react";

import { useAsked } from "./asked";

const Host = lazy(() => import("./PlanHost").then((room) => ({ default: room.PlanHost })));

/** The place of all changes that are under way; its parts are loaded with the first of them. */
export function Plans() {
  const isNeeded = useAsked().length > 0;
  if (!isNeeded) return null;
  return (
    <Suspense>
      <Host />
    </Suspense>
  );
}
