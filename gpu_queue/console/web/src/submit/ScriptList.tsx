import { Trans, useLingui } from "@lingui/react/macro";
import { IconX } from "@tabler/icons-react";

import { IconButton } from "../ui/Button";
import { fileSize } from "../ui/format";
import { Needs, type PlannedScript } from "./Needs";
import type { Handed } from "./scripts";
import styles from "./submit.module.css";

interface ScriptListProps {
  handed: readonly Handed[];
  found: readonly PlannedScript[];
  onRemove: (id: number) => void;
}

/** Files that were dropped or chosen, each with what it asks for. */
export function ScriptList({ handed, found, onRemove }: ScriptListProps) {
  const { t } = useLingui();
  return (
    <ul className={styles["scripts"]} aria-label={t`Scripts`}>
      {handed.map((one, at) => {
        const read = found[at];
        const { name } = one.script;
        const tasks = read?.tasks ?? 1;
        return (
          <li key={one.id} className={styles["script"]}>
            <div className={styles["scriptHead"]}>
              <strong title={name}>{name}</strong>
              <span className={styles["line"]}>
                {fileSize(one.bytes)}
                {tasks > 1 && (
                  <>
                    {" · "}
                    <Trans>{tasks} tasks</Trans>
                  </>
                )}
              </span>
              <IconButton label={t`Remove ${name}`} onClick={() => onRemove(one.id)}>
                <IconX size={14} />
              </IconButton>
            </div>
            {read && <Needs found={read} />}
          </li>
        );
      })}
    </ul>
  );
}
