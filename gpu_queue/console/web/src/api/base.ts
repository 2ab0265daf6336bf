/** The console may lie behind a prefix: `<base href>` tells it, and every address is made from it. */
const base = new URL(".", document.baseURI);

/** `/` or `/user/a/proxy/29214/`. */
export const basePath: string = base.pathname;

/** The address of a path below the console: `url("healthz")`. */
export function url(path: string): string {
  return new URL(path.replace(/^\/+/, ""), base).href;
}

/** Values of a query; what is empty, null or undefined is left out. */
export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

/** The path with its query. */
export function withQuery(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const one of value) search.append(name, String(one));
    else search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** A path below `/api/v1`, each part encoded: `api("spools", job, "tasks")`. */
export function api(...parts: string[]): string {
  return ["api/v1", ...parts.map(encodeURIComponent)].join("/");
}

/** A path below one queue: `S` of the design. */
export function spool(job: string, ...parts: string[]): string {
  return api("spools", job, ...parts);
}
