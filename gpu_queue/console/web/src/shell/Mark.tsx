/** Three bars: a queue. */
export function Mark() {
  return (
    <svg viewBox="0 0 18 16" width="18" height="16" aria-hidden="true">
      <rect x="0" y="1" width="18" height="3.2" rx="1" fill="var(--busy)" />
      <rect x="0" y="6.4" width="11" height="3.2" rx="1" fill="var(--keepalive)" />
      <rect x="0" y="11.8" width="7" height="3.2" rx="1" fill="var(--busy)" />
    </svg>
  );
}
