import { useEffect, useRef, type KeyboardEvent, type ReactNode } from "react";

import { UNKNOWN } from "./format";
import styles from "./Tabs.module.css";

export interface Tab<Id extends string> {
  id: Id;
  label: ReactNode;
  count?: ReactNode;
}

export interface TabsProps<Id extends string> {
  tabs: readonly Tab<Id>[];
  current: Id;
  onChange: (id: Id) => void;
  label: string;
  /** The id of what they switch, if it has one. */
  controls?: string;
}

/** Tabs of a page: arrows move among them. */
export function Tabs<Id extends string>({ tabs, current, onChange, label, controls }: TabsProps<Id>) {
  const row = useRef<HTMLDivElement>(null);
  const isCounted = tabs.every((tab) => tab.count !== UNKNOWN);
  useEffect(() => {
    // Where there are more than fit, the one that is shown is in sight.
    row.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ inline: "nearest", block: "nearest" });
  }, [current, isCounted]);
  const move = (event: KeyboardEvent<HTMLDivElement>): void => {
    const at = tabs.findIndex((tab) => tab.id === current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    const next = to === undefined ? undefined : tabs[(to + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    onChange(next.id);
    const tablist = event.currentTarget;
    requestAnimationFrame(() => tablist.querySelector<HTMLElement>('[aria-selected="true"]')?.focus());
  };
  return (
    <div ref={row} role="tablist" aria-label={label} className={styles["tabs"]} onKeyDown={move}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          aria-selected={tab.id === current}
          aria-controls={controls}
          tabIndex={tab.id === current ? 0 : -1}
          className={styles["tab"]}
          onClick={() => onChange(tab.id)}
        >
          {tab.label}
          {tab.count !== undefined && <span className={styles["count"]}>{tab.count}</span>}
        </button>
      ))}
    </div>
  );
}
