/** `<priority>-<id>.try<n>.<token>`, and the id is `<time>-<six digits>-<name>` (docs/spool.md). */
const CLAIM = /^\d{3}-(\d{8}T\d{9}-[0-9a-f]{6}-(.+))\.try\d+\.[0-9a-f]+$/;

/** What the name of a claim tells of its task, for as long as the list of what runs does not tell more. */
export function taskOf(claim: string): { id: string; title: string } {
  const [, id = claim, title = claim] = CLAIM.exec(claim) ?? [];
  return { id, title };
}
