import { useLingui } from "@lingui/react/macro";

import { cx } from "../ui/cx";
import type { PolicyField } from "./requests";
import styles from "./rule.module.css";

interface FieldInputProps {
  field: PolicyField;
  /** What is in hand; null: the default. */
  value: string | null;
  isWrong: boolean;
  isDisabled: boolean;
  id: string;
  describedBy: string;
  fallback: string;
  onChange: (value: string | null) => void;
}

const NUMBERS = new Set(["count", "percent"]);

/** A switch, a choice, or a line to type into; an empty one is the default. */
export function FieldInput({ field, value, isWrong, isDisabled, id, describedBy, fallback, onChange }: FieldInputProps) {
  const { t } = useLingui();
  const shared = { id, disabled: isDisabled, "aria-describedby": describedBy, "aria-invalid": isWrong || undefined };
  if (field.type === "flag" && (value === null || value === "on" || value === "off")) {
    const isOn = (value ?? field.default.en) === "on";
    return (
      <button
        {...shared}
        type="button"
        role="switch"
        aria-checked={isOn}
        className={cx(styles["switch"], value === null && styles["byDefault"])}
        onClick={() => onChange(isOn ? "off" : "on")}
      >
        <span className={styles["knob"]} aria-hidden="true" />
        <span>{isOn ? "on" : "off"}</span>
      </button>
    );
  }
  if (field.choices.length > 0) {
    const isOther = value !== null && !field.choices.includes(value);
    return (
      <select {...shared} value={value ?? ""} className={cx(value === null && styles["byDefault"])} onChange={(event) => onChange(event.target.value || null)}>
        <option value="">{t`default: ${fallback}`}</option>
        {field.choices.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
        {isOther && <option value={value}>{value}</option>}
      </select>
    );
  }
  return (
    <input
      {...shared}
      value={value ?? ""}
      placeholder={fallback}
      inputMode={NUMBERS.has(field.type) && !field.can_be_none ? "numeric" : "text"}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
      maxLength={4000}
      onChange={(event) => onChange(event.target.value === "" ? null : event.target.value)}
    />
  );
}
