/** The console's policy lets only styles with this word be added to the page; the server makes a new one for each page. */
export function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
}
