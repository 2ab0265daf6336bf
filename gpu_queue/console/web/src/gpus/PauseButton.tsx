/** Pause and resume. */
export function PauseButton() {
  return null;
}
