import type { ReactElement } from "react";

import styles from "./StateShape.module.css";

export type Shape =
  | "task"
  | "keepalive"
  | "idle"
  | "foreign"
  | "lost"
  | "unknown"
  | "waiting"
  | "running"
  | "done"
  | "failed"
  | "stopped";

const CROSS = <path d="M2.5 2.5l7 7m0-7l-7 7" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" />;

const DRAWN: Record<Shape, ReactElement> = {
  task: <rect x="1" y="1" width="10" height="10" rx="2" fill="currentColor" />,
  keepalive: (
    <g fill="none" stroke="currentColor">
      <rect x="1.5" y="1.5" width="9" height="9" rx="1.5" strokeWidth="1" />
      <path d="M1.8 6.2l4.4-4.4M1.8 10.2l8.4-8.4M5.8 10.2l4.4-4.4" strokeWidth="1.5" />
    </g>
  ),
  idle: <rect x="1.75" y="1.75" width="8.5" height="8.5" rx="1.5" fill="none" stroke="currentColor" strokeWidth="1.5" />,
  foreign: <path d="M6 .6L11.4 6 6 11.4.6 6z" fill="currentColor" />,
  lost: CROSS,
  failed: CROSS,
  unknown: (
    <path
      d="M4 4.2a2 2 0 1 1 2.9 1.8c-.6.4-.9.7-.9 1.4M6 9.7v.1"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
    />
  ),
  waiting: <circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" strokeWidth="1.4" />,
  running: (
    <path d="M3 1.8l7 4.2-7 4.2z" fill="none" stroke="currentColor" strokeWidth="1.4" strokeLinejoin="round" />
  ),
  done: <path d="M2 6.4l2.8 2.8L10 3.4" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" />,
  stopped: <rect x="2.5" y="2.5" width="7" height="7" rx="1" fill="currentColor" />,
};

/** The shape and colour of a state. With a label it is an image for readers; without one the words stand beside it. */
export function StateShape({ shape, label, size = 12 }: { shape: Shape; label?: string; size?: number }) {
  return (
    <svg
      className={styles[shape]}
      viewBox="0 0 12 12"
      width={size}
      height={size}
      {...(label === undefined ? { "aria-hidden": true } : { role: "img", "aria-label": label })}
    >
      {DRAWN[shape]}
    </svg>
  );
}
