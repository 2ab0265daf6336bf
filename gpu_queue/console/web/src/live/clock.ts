/**
 * The file server's clock, as this page counts it on. A message is some time under way, so the largest difference to
 * our own clock that was seen is nearest to the truth; a clock that was set anew shows as a difference far off.
 */
export class Clock {
  private ahead_s: number | null = null;

  /** A message says that it was `now_s` when it was made; our own clock shows `local_s`. */
  told(now_s: number, local_s: number): void {
    const seen = now_s - local_s;
    if (this.ahead_s === null || seen > this.ahead_s || this.ahead_s - seen > 30) this.ahead_s = seen;
  }

  /** Epoch seconds there, now. Before anything was told: our own. */
  now_s(local_s: number): number {
    return local_s + (this.ahead_s ?? 0);
  }
}
