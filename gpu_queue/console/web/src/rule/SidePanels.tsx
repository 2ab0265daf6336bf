import { Trans, useLingui } from "@lingui/react/macro";

import { useSaid } from "../gpus/words";
import { useMap } from "../live/hooks";
import { Button } from "../ui/Button";
import { Panel } from "../ui/Panel";
import { Agents } from "./Agents";
import styles from "./rule.module.css";
import type { Draft } from "./useDraft";

/** What agents say of the file in words of their own: that a new one is needed, that it is not obeyed. */
function isOfPolicy(problem: string): boolean {
  return problem.startsWith("config.yaml:") || problem.startsWith("the last good settings stay");
}

function LiveAgents() {
  const nodes = useMap("nodes") ?? {};
  const alive = Object.entries(nodes).filter(([, node]) => node.presence === "alive");
  if (alive.length === 0) {
    return (
      <p className={styles["hint"]}>
        <Trans>No agent serves this queue now; the next one begins with it.</Trans>
      </p>
    );
  }
  return (
    <ul className={styles["agents"]}>
      {alive.map(([key, node]) => {
        const told = (node.problems ?? []).filter(isOfPolicy);
        return (
          <li key={key} className={styles["agent"]}>
            <strong>{node.title}</strong>
            <span>{told.length > 0 ? told.join("; ") : <Trans>obeys it</Trans>}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** What is in hand, what is wrong with it, and who takes it over. */
export function SidePanels({ draft, onText }: { draft: Draft; onText: (line: number | null) => void }) {
  const { t } = useLingui();
  const said = useSaid();
  const { base, checked } = draft;
  const problems = checked ? checked.problems : base.problems;
  const changes = checked?.changes ?? [];
  return (
    <>
      {problems.length > 0 && (
        <Panel title={t`Problems`} count={problems.length}>
          <ul className={styles["list"]}>
            {problems.map((one, at) => {
              const { line } = one;
              return (
                <li key={at} className={styles["item"]}>
                  {line !== null ? (
                    <button type="button" className={styles["lineLink"]} onClick={() => onText(line)}>
                      <Trans>line {line}</Trans>
                    </button>
                  ) : null}
                  <span className={one.kind === "refused" ? styles["problem"] : styles["notice"]}>
                    {one.key && <code>{one.key}</code>} {said(one.text)}
                  </span>
                </li>
              );
            })}
          </ul>
        </Panel>
      )}
      {changes.length > 0 && (
        <Panel title={t`Changes`} count={changes.length}>
          <ul className={styles["list"]}>
            {changes.map(({ key, ...one }) => (
              <li key={key} className={styles["item"]}>
                <code className={styles["changeKey"]}>{key}</code>
                <span className={styles["values"]}>
                  {one.was ?? t`default`} → <strong>{one.now ?? t`default`}</strong>
                </span>
                {key in draft.hand.changes && (
                  <Button variant="bare" size="small" aria-label={t`Undo the change of ${key}`} onClick={() => draft.dropField(key)}>
                    <Trans>Undo</Trans>
                  </Button>
                )}
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {(checked?.notes ?? base.notes ?? []).map((one) => (
        <p key={one.code} className={styles["notice"]} role="status">
          {said(one.text)}
        </p>
      ))}
      <Panel title={t`Agents`}>
        <div className={styles["pad"]}>{checked && changes.length > 0 ? <Agents agents={checked.agents} /> : <LiveAgents />}</div>
      </Panel>
    </>
  );
}
