import { useLingui } from "@lingui/react/macro";
import { IconX } from "@tabler/icons-react";
import { useEffect, useSyncExternalStore, type MouseEvent } from "react";

import { Button, IconButton } from "./Button";
import { cx } from "./cx";
import styles from "./Toast.module.css";

export interface ToastContent {
  text: string;
  tone?: "plain" | "trouble";
  /** What undoes it, for instance. */
  action?: { label: string; run: () => void };
  /** Where it leads: an address below the base path, and what is there. */
  link?: { label: string; href: string; go: () => void };
  /** How long it stays. */
  for_s?: number;
  /** What it is of: a later one of the same takes its place, for what it offers to undo is over by then. */
  topic?: string;
}

interface Shown extends ToastContent {
  id: number;
}

let shown: readonly Shown[] = [];
let lastId = 0;
const listeners = new Set<() => void>();
const MOST = 4;

function change(next: readonly Shown[]): void {
  shown = next;
  for (const listener of listeners) listener();
}

function drop(id: number): void {
  change(shown.filter((one) => one.id !== id));
}

/** Says what became of one's own action. Returns what takes it away before its time. */
export function toast(content: ToastContent): () => void {
  lastId += 1;
  const id = lastId;
  const others = shown.filter((one) => one.topic === undefined || one.topic !== content.topic);
  change([...others, { ...content, id }].slice(-MOST));
  return () => drop(id);
}

/** A link, so that it can be opened beside; a plain click stays in this page. */
function ToastLink({ link, onGone }: { link: NonNullable<ToastContent["link"]>; onGone: () => void }) {
  const follow = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    link.go();
    onGone();
  };
  return (
    <a href={link.href} onClick={follow}>
      {link.label}
    </a>
  );
}

function OneToast({ one }: { one: Shown }) {
  const { t } = useLingui();
  const { id, for_s = 15 } = one;
  useEffect(() => {
    const timer = setTimeout(() => drop(id), for_s * 1000);
    return () => clearTimeout(timer);
  }, [id, for_s]);
  return (
    <li className={cx(styles["toast"], one.tone === "trouble" && styles["trouble"])}>
      <span>{one.text}</span>
      {one.link && <ToastLink link={one.link} onGone={() => drop(id)} />}
      {one.action && (
        <Button
          size="small"
          onClick={() => {
            one.action?.run();
            drop(id);
          }}
        >
          {one.action.label}
        </Button>
      )}
      <IconButton label={t`Close`} onClick={() => drop(id)}>
        <IconX size={14} />
      </IconButton>
    </li>
  );
}

/** The place where toasts appear; readers are told what is new. */
export function Toasts() {
  const all = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
  return (
    <div className={styles["toasts"]} role="status">
      {all.length > 0 && (
        <ol>
          {all.map((one) => (
            <OneToast key={one.id} one={one} />
          ))}
        </ol>
      )}
    </div>
  );
}
