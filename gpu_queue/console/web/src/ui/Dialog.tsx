import { useId, type ReactNode } from "react";

import { cx } from "./cx";
import styles from "./Dialog.module.css";
import { useModal } from "./modal";

export interface DialogProps {
  title: ReactNode;
  onClose: () => void;
  children: ReactNode;
  /** Buttons, the safe one first (`<Button isSafe>`): it has the focus. */
  footer?: ReactNode;
  wide?: boolean;
}

/** A question or a form over the page. Mount it to open it. */
export function Dialog({ title, onClose, children, footer, wide }: DialogProps) {
  const ref = useModal(onClose);
  const titleId = useId();
  return (
    <dialog ref={ref} className={cx(styles["dialog"], wide && styles["wide"])} aria-labelledby={titleId}>
      <div className={styles["box"]}>
        <h2 id={titleId}>{title}</h2>
        <div className={styles["body"]}>{children}</div>
        {footer && <footer className={styles["footer"]}>{footer}</footer>}
      </div>
    </dialog>
  );
}
