/** A script that another page hands to the drawer: a task's, to be changed and submitted anew. */
export interface GivenScript {
  name: string;
  text: string;
}

let given: GivenScript | null = null;

/** Hands a script over; the drawer that opens next takes it. */
export function giveScript(script: GivenScript): void {
  given = script;
}

/** Takes what was handed over, once. */
export function takeGiven(): GivenScript | null {
  const taken = given;
  given = null;
  return taken;
}
