import { useLingui } from "@lingui/react/macro";
import { IconX } from "@tabler/icons-react";
import { useId, type ReactNode } from "react";

import { IconButton } from "./Button";
import styles from "./Drawer.module.css";
import { useModal } from "./modal";

export interface DrawerProps {
  title: ReactNode;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
}

/** A page's worth of things from the right side. Mount it to open it. */
export function Drawer({ title, onClose, children, footer }: DrawerProps) {
  const { t } = useLingui();
  const ref = useModal(onClose);
  const titleId = useId();
  return (
    <dialog ref={ref} className={styles["drawer"]} aria-labelledby={titleId}>
      <div className={styles["box"]}>
        <header className={styles["head"]}>
          <h2 id={titleId}>{title}</h2>
          <IconButton label={t`Close`} onClick={onClose}>
            <IconX size={16} />
          </IconButton>
        </header>
        <div className={styles["body"]}>{children}</div>
        {footer && <footer className={styles["footer"]}>{footer}</footer>}
      </div>
    </dialog>
  );
}
