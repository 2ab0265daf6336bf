import { Trans } from "@lingui/react/macro";

import { useMap } from "../live/hooks";
import { cx } from "../ui/cx";
import type { PolicyAgent } from "./requests";
import styles from "./rule.module.css";

function What({ agent }: { agent: PolicyAgent }) {
  const now = agent.at_once.join(", ");
  const later = agent.next_start.join(", ");
  if (agent.takes === "refuses") return <Trans>keeps its last good settings</Trans>;
  if (agent.takes === "nothing") return <Trans>nothing changes for it</Trans>;
  return (
    <>
      {now && <Trans>at once: {now}</Trans>}
      {now && later && <br />}
      {later && <Trans>needs a new agent: {later}</Trans>}
    </>
  );
}

/** What each live agent makes of it. */
export function Agents({ agents }: { agents: readonly PolicyAgent[] }) {
  const nodes = useMap("nodes") ?? {};
  if (agents.length === 0) {
    return (
      <p className={styles["hint"]}>
        <Trans>No agent serves this queue now; the next one begins with it.</Trans>
      </p>
    );
  }
  return (
    <ul className={styles["agents"]}>
      {agents.map((one) => (
        <li key={one.node} className={cx(styles["agent"], one.takes === "refuses" && styles["problem"])}>
          <strong>{nodes[one.node]?.title ?? one.title}</strong>
          <span>
            <What agent={one} />
          </span>
        </li>
      ))}
    </ul>
  );
}
