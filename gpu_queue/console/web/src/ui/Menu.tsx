import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

import { cx } from "./cx";
import styles from "./Menu.module.css";

export interface MenuItem {
  id: string;
  label: ReactNode;
  /** At the right end, dim. */
  note?: ReactNode;
  isDanger?: boolean;
  isDisabled?: boolean;
  isCurrent?: boolean;
  run: () => void;
}

export interface MenuProps {
  /** What the button shows. */
  button: ReactNode;
  /** What readers call it, where the button shows an icon alone. */
  label?: string;
  /** What the menu is for, where the button shows words. */
  hint?: string;
  items: readonly MenuItem[];
  align?: "start" | "end";
  className?: string | undefined;
}

/** A button with a list of actions: arrows move, Escape closes, typing a letter is the browser's. */
export function Menu({ button, label, hint, items, align = "start", className }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const menuId = useId();

  const close = (giveBack: boolean): void => {
    setOpen(false);
    if (giveBack) opener.current?.focus();
  };

  useEffect(() => {
    if (!isOpen) return;
    root.current?.querySelector<HTMLElement>('[role="menuitem"]:not(:disabled)')?.focus();
    const outside = (event: Event): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [isOpen]);

  const move = (event: KeyboardEvent<HTMLDivElement>): void => {
    const all = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="menuitem"]:not(:disabled)')];
    const at = all.findIndex((one) => one === document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[(to + all.length) % all.length]?.focus();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close(true);
    } else if (event.key === "Tab") {
      close(false);
    }
  };

  return (
    <div className={styles["root"]} ref={root}>
      <button
        ref={opener}
        type="button"
        className={cx(styles["opener"], className)}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? menuId : undefined}
        aria-label={label}
        title={hint ?? label}
        onClick={() => setOpen(!isOpen)}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") {
            event.preventDefault();
            setOpen(true);
          }
        }}
      >
        {button}
      </button>
      {isOpen && (
        <div id={menuId} role="menu" className={cx(styles["menu"], styles[align])} onKeyDown={move}>
          {items.map((item) => (
            <button
              key={item.id}
              type="button"
              role="menuitem"
              tabIndex={-1}
              disabled={item.isDisabled}
              aria-current={item.isCurrent || undefined}
              className={cx(styles["item"], item.isDanger && styles["danger"])}
              onClick={() => {
                close(true);
                item.run();
              }}
            >
              <span>{item.label}</span>
              {item.note !== undefined && <span className={styles["note"]}>{item.note}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
