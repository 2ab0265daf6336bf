import type { ButtonHTMLAttributes, Ref } from "react";

import styles from "./Button.module.css";
import { cx } from "./cx";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** plain: a border; primary: the one main action of a page; danger: outlined, for what cannot be undone. */
  variant?: "plain" | "primary" | "danger" | "bare";
  size?: "normal" | "small";
  /** In a dialog: this one gets the focus, for it changes nothing. */
  isSafe?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ variant = "plain", size = "normal", isSafe, className, type = "button", ...rest }: ButtonProps) {
  return (
    <button
      type={type}
      className={cx(styles["button"], styles[variant], styles[size], className)}
      data-safe={isSafe || undefined}
      {...rest}
    />
  );
}

/** A button that is an icon; its label is for readers and the tooltip. */
export function IconButton({ label, className, ...rest }: Omit<ButtonProps, "variant" | "size"> & { label: string }) {
  return <Button variant="bare" aria-label={label} title={label} className={cx(styles["icon"], className)} {...rest} />;
}
