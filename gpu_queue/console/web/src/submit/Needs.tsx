import { Trans, useLingui } from "@lingui/react/macro";

import type { Wire } from "../api/types";
import { useSaid } from "../gpus/words";
import styles from "./submit.module.css";

export type PlannedScript = Wire<"PlannedScript">;
type Need = Wire<"Need">;

function Value({ need }: { need: Need }) {
  const { t } = useLingui();
  const { value } = need;
  const names: Record<Need["name"], string> = {
    gpus: t`GPUs`,
    nodes: t`nodes`,
    devices: t`devices`,
    memory: t`memory`,
    queue: t`queue`,
    time: t`time`,
    retries: t`retries`,
    signal: t`warning`,
    notify: t`tells`,
    snapshot: t`snapshot`,
    after: t`after`,
    name: t`name`,
    array: t`array`,
    priority: t`priority`,
    cwd: t`folder`,
  };
  return (
    <>
      {names[need.name]} <strong>{value}</strong>
    </>
  );
}

function Source({ need }: { need: Need }) {
  const { line, source } = need;
  if (line != null) return <Trans>line {line}</Trans>;
  if (source === "given") return <Trans>said here</Trans>;
  if (source === "default") return <Trans>not said</Trans>;
  return <>{source}</>;
}

/** What a script asks for, each with the line that says it; why it can never run. */
export function Needs({ found }: { found: PlannedScript }) {
  const { t } = useLingui();
  const said = useSaid();
  return (
    <div className={styles["read"]}>
      {found.needs.length > 0 && (
        <ul className={styles["needs"]} aria-label={t`What it asks for`}>
          {found.needs.map((need) => (
            <li key={`${need.name} ${need.line ?? need.source}`} title={need.source}>
              <Value need={need} />{" "}
              <span className={styles["line"]}>
                <Source need={need} />
              </span>
            </li>
          ))}
        </ul>
      )}
      {found.problem && (
        <p className={styles["problem"]} role="alert">
          {said(found.problem.text)}
        </p>
      )}
      {(found.notes ?? []).map((note) => (
        <p key={note.text.en} className={styles["note"]}>
          {said(note.text)}
        </p>
      ))}
    </div>
  );
}
