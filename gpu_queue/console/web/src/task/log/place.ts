/** Which part of a log is on screen: bytes [top, bottom). Whoever listens hears of changes. */
export interface Shown {
  top: number;
  bottom: number;
}

export class Place {
  private shown: Shown = { top: 0, bottom: 0 };
  private readonly listeners = new Set<() => void>();

  readonly read = (): Shown => this.shown;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  set(next: Shown): void {
    if (next.top === this.shown.top && next.bottom === this.shown.bottom) return;
    this.shown = next;
    for (const listener of this.listeners) listener();
  }
}

/** The first of some numbers, of which `at` gives each, that is greater; they ascend. */
export function firstAbove(count: number, at: (index: number) => number, value: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(middle) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The row at a height of what is scrolled; null: there are none. */
export function rowAt(rows: HTMLElement, y: number): HTMLElement | null {
  const { children } = rows;
  const index = firstAbove(children.length, (at) => (children[at] as HTMLElement).offsetTop, y) - 1;
  return (children[Math.max(0, Math.min(index, children.length - 1))] as HTMLElement | undefined) ?? null;
}

export const offsetOf = (row: HTMLElement | null): number => Number(row?.dataset["o"] ?? 0);

/** The row that holds a byte, else the nearest before it; null: there are none. */
export function rowOf(rows: HTMLElement, offset: number): HTMLElement | null {
  const { children } = rows;
  const index = firstAbove(children.length, (at) => offsetOf(children[at] as HTMLElement), offset) - 1;
  return (children[Math.max(0, index)] as HTMLElement | undefined) ?? null;
}
