import { useLingui } from "@lingui/react/macro";
import { memo, useSyncExternalStore, type KeyboardEvent, type PointerEvent } from "react";

import { fileSize } from "../../ui/format";
import styles from "./LogView.module.css";
import type { Place } from "./place";
import { END } from "./reader";

export interface LogRailProps {
  place: Place;
  size: number;
  bins: readonly number[];
  /** The id of what it scrolls. */
  controls: string;
  /** Shows the rows around a byte. */
  onSeek: (offset: number) => void;
}

const STEPS: Record<string, number> = { ArrowUp: -0.01, ArrowDown: 0.01, PageUp: -0.1, PageDown: 0.1 };

const Ticks = memo(function Ticks({ bins }: { bins: readonly number[] }) {
  const most = Math.max(1, ...bins);
  return bins.map(
    (count, bin) =>
      count > 0 && (
        <div
          key={bin}
          className={styles["tick"]}
          style={{ top: `${(bin / bins.length) * 100}%`, opacity: 0.5 + (0.5 * count) / most }}
        />
      ),
  );
});

/** A scroll bar over the whole file: any byte of it can be gone to, and hits are marked on it. */
export function LogRail({ place, size, bins, controls, onSeek }: LogRailProps) {
  const { t } = useLingui();
  const shown = useSyncExternalStore(place.subscribe, place.read);
  const whole = Math.max(1, size);
  const percent = (offset: number): number => (Math.min(whole, offset) / whole) * 100;

  const seek = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.type === "pointermove" && event.buttons !== 1) return;
    const rail = event.currentTarget;
    if (event.type === "pointerdown") rail.setPointerCapture(event.pointerId);
    const box = rail.getBoundingClientRect();
    const share = (event.clientY - box.top) / box.height;
    onSeek(share > 0.995 ? END : Math.floor(Math.max(0, share) * size));
  };
  const move = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = shown.top + step * size;
    onSeek(to >= size ? END : Math.max(0, Math.floor(to)));
  };

  const top = percent(shown.top);
  const now = Math.round(percent(shown.bottom >= size ? size : shown.top));
  return (
    <div
      className={styles["rail"]}
      data-rail
      role="scrollbar"
      tabIndex={0}
      aria-label={t`Place in the whole log`}
      aria-controls={controls}
      aria-orientation="vertical"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={now}
      aria-valuetext={t`${now} % of ${fileSize(size)}`}
      onPointerDown={seek}
      onPointerMove={seek}
      onKeyDown={move}
    >
      <div className={styles["thumb"]} style={{ top: `min(${top}%, 100% - 14px)`, height: `${percent(shown.bottom) - top}%` }} />
      <Ticks bins={bins} />
    </div>
  );
}
