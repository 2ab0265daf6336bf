import { useLingui } from "@lingui/react/macro";
import { Plural } from "@lingui/react/macro";
import type { ReactNode } from "react";

import type { Use } from "../api/types";
import { useMap } from "../live/hooks";
import { power } from "../ui/format";
import styles from "./OccupationBar.module.css";
import { occupation, USES } from "./summary";
import { UsesBar, UsesLegend } from "./UsesBar";
import { USE_WORDS } from "./words";

function Word({ use, count }: { use: Use; count: number }) {
  const { i18n } = useLingui();
  if (use !== "task") return <>{i18n._(USE_WORDS[use])}</>;
  return <Plural value={count} one="task" other="tasks" />;
}

/** How the GPUs are used, as one bar and its legend. `children` stand at the right end. */
export function OccupationBar({ children }: { children?: ReactNode }) {
  const { by, power_w } = occupation(useMap("gpus") ?? {});
  const shown = USES.filter((use) => by[use] > 0);
  const parts = shown.map((use) => ({
    use,
    size: by[use],
    words: (
      <>
        <b>{by[use]}</b> <Word use={use} count={by[use]} />
      </>
    ),
  }));
  return (
    <div className={styles["part"]}>
      <UsesBar parts={parts} />
      <div className={styles["line"]}>
        <UsesLegend parts={parts}>{power_w !== null && <li className="live">{power(power_w)}</li>}</UsesLegend>
        <div className={styles["tools"]}>{children}</div>
      </div>
    </div>
  );
}
