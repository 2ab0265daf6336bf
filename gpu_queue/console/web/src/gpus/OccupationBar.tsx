import { useLingui } from "@lingui/react/macro";
import { Plural } from "@lingui/react/macro";
import type { ReactNode } from "react";

import type { Use } from "../api/types";
import { useMap } from "../live/hooks";
import { power } from "../ui/format";
import { StateShape } from "../ui/StateShape";
import styles from "./OccupationBar.module.css";
import { occupation, USES } from "./summary";
import { USE_WORDS } from "./words";

function Word({ use, count }: { use: Use; count: number }) {
  const { i18n } = useLingui();
  if (use !== "task") return <>{i18n._(USE_WORDS[use])}</>;
  return <Plural value={count} one="task" other="tasks" />;
}

/** How the GPUs are used, as one bar and its legend. `children` stand at the right end. */
export function OccupationBar({ children }: { children?: ReactNode }) {
  const { total, by, power_w } = occupation(useMap("gpus") ?? {});
  const shown = USES.filter((use) => by[use] > 0);
  return (
    <div className={styles["part"]}>
      <div className={styles["bar"]} aria-hidden="true">
        {total === 0 && <span className={styles["none"]} style={{ flexGrow: 1 }} />}
        {shown.map((use) => (
          <span key={use} className={styles[use]} style={{ flexGrow: by[use] }} />
        ))}
      </div>
      <div className={styles["line"]}>
        <ul className={styles["legend"]}>
          {shown.map((use) => (
            <li key={use}>
              <StateShape shape={use} size={10} />
              <span>
                <b>{by[use]}</b> <Word use={use} count={by[use]} />
              </span>
            </li>
          ))}
          {power_w !== null && <li className="live">{power(power_w)}</li>}
        </ul>
        <div className={styles["tools"]}>{children}</div>
      </div>
    </div>
  );
}
