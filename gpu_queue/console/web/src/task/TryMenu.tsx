import { useLingui } from "@lingui/react/macro";
import { IconChevronDown } from "@tabler/icons-react";

import type { TaskDetail } from "../api/types";
import { Menu } from "../ui/Menu";
import { duration, UNKNOWN } from "../ui/format";
import { outcomeWords } from "../ui/outcome";
import styles from "./TaskPage.module.css";

/** Which try is shown, where there was more than one. */
export function TryMenu({ detail, number, onTry }: { detail: TaskDetail; number: number; onTry: (number: number) => void }) {
  const { t } = useLingui();
  const { tries } = detail;
  const last = tries[tries.length - 1]?.number ?? 0;
  if (tries.length < 2) return null;
  return (
    <Menu
      className={styles["tries"]}
      button={
        <>
          {t`try ${number} of ${last}`} <IconChevronDown size={14} aria-hidden />
        </>
      }
      hint={t`Which try`}
      items={[...tries].reverse().map((one) => ({
        id: one.token,
        label: t`try ${one.number}: ${outcomeWords(one.outcome) || t`runs`}`,
        note: one.duration_s == null ? UNKNOWN : duration(one.duration_s),
        isCurrent: one.number === number,
        run: () => onTry(one.number),
      }))}
    />
  );
}
