import { Trans, useLingui } from "@lingui/react/macro";
import { useId, type ReactNode } from "react";

import { useKeys } from "../live/hooks";
import { isPriority, type Fields } from "./options";
import styles from "./submit.module.css";

interface FieldProps {
  name: keyof Fields;
  label: ReactNode;
  placeholder?: string;
  wide?: boolean;
  list?: string;
  isInvalid?: boolean;
  fields: Fields;
  onChange: (change: Partial<Fields>) => void;
}

function Field({ name, label, placeholder, wide, list, isInvalid, fields, onChange }: FieldProps) {
  const id = useId();
  return (
    <div className={wide ? styles["wideField"] : styles["field"]}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        list={list}
        value={fields[name]}
        placeholder={placeholder}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        aria-invalid={isInvalid || undefined}
        onChange={(event) => onChange({ [name]: event.target.value })}
      />
    </div>
  );
}

/** What overrides the scripts; an empty field leaves what they say. */
export function FieldsForm({ fields, onChange }: { fields: Fields; onChange: (change: Partial<Fields>) => void }) {
  const { t } = useLingui();
  const queues = useKeys("queues");
  const listId = useId();
  const shared = { fields, onChange };
  return (
    <>
      <div className={styles["fields"]}>
        <Field name="gpus" label={t`GPUs`} placeholder="1" {...shared} />
        <Field name="memory" label={t`memory`} placeholder="20G" {...shared} />
        <Field name="time" label={t`time`} placeholder="4h" {...shared} />
        <Field name="queue" label={t`queue`} list={listId} {...shared} />
        <Field name="after" label={t`after`} placeholder="7ad896" {...shared} />
        <Field name="priority" label={t`priority`} placeholder="500" isInvalid={!isPriority(fields.priority)} {...shared} />
      </div>
      <datalist id={listId}>
        {queues.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <details className={styles["moreFields"]}>
        <summary>
          <Trans>More: retries, warning, array, folder, arguments</Trans>
        </summary>
        <div className={styles["fields"]}>
          <Field name="retries" label={t`retries`} placeholder="3" {...shared} />
          <Field name="signal" label={t`warning`} placeholder="USR1@120" {...shared} />
          <Field name="array" label={t`array`} placeholder="0-9%2" {...shared} />
          <Field name="cwd" label={t`folder`} placeholder="~" wide {...shared} />
          <Field name="arguments" label={t`arguments`} wide {...shared} />
        </div>
      </details>
    </>
  );
}
