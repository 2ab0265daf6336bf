import { client } from "../api/client";
import { ACCESS_CHANGED } from "../live/events";

let refused: unknown = null;

function changed(): void {
  window.dispatchEvent(new Event(ACCESS_CHANGED));
}

/** Trades a token for the cookie that stands for it. Throws ApiError when it is wrong (401, 403) or too often (429). */
export async function showToken(token: string): Promise<void> {
  await client.post<unknown>("access", { token });
  refused = null;
  changed();
}

/** Forgets the cookie. */
export async function forgetToken(): Promise<void> {
  await client.delete<unknown>("access");
  changed();
}

/** Why the link with which this page was opened gave no access; null: it had no token, or there is access. */
export function refusal(): unknown {
  return refused;
}

/**
 * The printed link carries the token behind `#`, which no server's log sees. It is traded for a cookie, and taken out
 * of the address, also out of the history, before anything is shown.
 */
export async function takeTokenFromAddress(): Promise<void> {
  const found = /^#(?:token=)?([A-Za-z0-9_-]{20,200})$/.exec(location.hash);
  if (!found?.[1]) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  await showToken(found[1]).catch((error: unknown) => {
    refused = error; // The panel that asks for a token says what is wrong.
  });
}
