/** How fresh what is shown is. */
export function StreamState() {
  return null;
}
