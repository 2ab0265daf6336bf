import type uPlot from "uplot";
import type { Options } from "uplot";

export interface CursorProps {
  /** The step under the cursor; null: it is not over a picture. */
  onIndex: (at: number | null) => void;
}

const SYNC = "gpuq-history";

/** The cursor of one picture is that of all. */
export function cursorOf({ onIndex }: CursorProps): Pick<Options, "cursor" | "hooks"> {
  return {
    cursor: { sync: { key: SYNC }, points: { show: false }, drag: { x: false, y: false }, y: false },
    hooks: { setCursor: [(plot: uPlot) => onIndex(plot.cursor.left != null && plot.cursor.left >= 0 ? (plot.cursor.idx ?? null) : null)] },
  };
}
