import { Trans, useLingui } from "@lingui/react/macro";
import { useId } from "react";

import { useSaid } from "../gpus/words";
import { Button } from "../ui/Button";
import { cx } from "../ui/cx";
import { FieldInput } from "./FieldInput";
import type { Draft } from "./useDraft";
import type { PolicyField } from "./requests";
import styles from "./rule.module.css";
import { Marked } from "./Words";

interface FieldRowProps {
  draft: Draft;
  /** As it is saved. */
  was: PolicyField;
  /** As the text in hand says it. */
  field: PolicyField;
  problems: readonly string[];
  canChange: boolean;
  onText: (line: number | null) => void;
}

/** What is in hand of a field: what was typed, else what the text says. */
export function inHand(draft: Draft, field: PolicyField): string | null {
  const typed = draft.hand.changes[field.key];
  return typed === undefined ? (field.value ?? null) : typed;
}

/** One setting. */
export function FieldRow({ draft, was, field, problems, canChange, onText }: FieldRowProps) {
  const { t } = useLingui();
  const said = useSaid();
  const id = useId();
  const value = inHand(draft, field);
  const before = was.value ?? null;
  const isChanged = value !== before;
  const fallback = said(field.default) || t`nothing`;
  const beforeShown = before ?? fallback;
  const unit = said(field.unit);
  const label = said(field.label);
  return (
    <div className={cx(styles["field"], isChanged && styles["changed"])} data-key={field.key} data-changed={isChanged || undefined}>
      <div className={styles["what"]}>
        <label htmlFor={id} className={styles["label"]}>
          {label}
        </label>{" "}
        <code className={styles["key"]}>{field.key}</code>
        <p id={`${id}-meaning`} className={styles["meaning"]}>
          <Marked text={said(field.meaning)} />
        </p>
      </div>
      <div className={styles["control"]}>
        {field.is_typed ? (
          <div className={styles["input"]}>
            <FieldInput
              field={field}
              value={value}
              isWrong={problems.length > 0}
              isDisabled={!canChange}
              id={id}
              describedBy={`${id}-meaning ${id}-unit ${id}-problem`}
              fallback={fallback}
              onChange={(next) => (next === before && draft.hand.text === draft.base.text ? draft.dropField(field.key) : draft.setField(field.key, next))}
            />
            <span id={`${id}-unit`} className={styles["unit"]}>
              {unit}
            </span>
          </div>
        ) : (
          <Button size="small" id={id} onClick={() => onText(field.written)}>
            <Trans>as the text says</Trans>
          </Button>
        )}
        <div id={`${id}-problem`} role="status">
          {problems.map((one) => (
            <p key={one} className={styles["problem"]}>
              {one}
            </p>
          ))}
        </div>
      </div>
      <div className={styles["facts"]}>
        {isChanged && (
          <span className={styles["was"]}>
            <Trans>was {beforeShown}</Trans>
          </span>
        )}
        <span>
          <Trans>default {fallback}</Trans>
        </span>
        <span>{field.when === "at_once" ? <Trans>at once</Trans> : <Trans>next agent</Trans>}</span>
        {canChange && value !== null && field.is_typed && (
          <Button variant="bare" size="small" className={styles["reset"]} aria-label={t`Reset ${label}`} onClick={() => draft.setField(field.key, null)}>
            <Trans>Reset</Trans>
          </Button>
        )}
      </div>
    </div>
  );
}
