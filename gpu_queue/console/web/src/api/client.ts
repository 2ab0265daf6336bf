import { url, withQuery, type Query } from "./base";
import type { ProblemDetails, Words } from "./types";

/** The server refused, or did not answer. */
export class ApiError extends Error {
  /** 0: it did not answer at all. */
  readonly status: number;
  readonly code: string;
  readonly params: Record<string, unknown>;
  readonly retryAfter_s: number | null;
  /** The detail in both languages; null: it was no server of ours that answered. */
  readonly text: Words | null;

  constructor(problem: Pick<ProblemDetails, "status" | "title" | "detail" | "code" | "params"> & { text?: Words | null }, retryAfter_s: number | null = null) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
    this.status = problem.status;
    this.code = problem.code;
    this.params = problem.params ?? {};
    this.retryAfter_s = retryAfter_s;
    this.text = problem.text ?? null;
  }
}

/** Whether a request failed because the token is missing or wrong. */
export function isAccessError(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 401 || error.status === 403);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function words(value: unknown): Words | null {
  if (!isRecord(value) || !text(value["en"]) || !text(value["zh"])) return null;
  return { en: text(value["en"]), zh: text(value["zh"]) };
}

async function problemOf(reply: Response): Promise<ApiError> {
  const type = reply.headers.get("content-type") ?? "";
  let body: unknown = null;
  if (type.includes("json")) body = await reply.json().catch(() => null);
  const said = isRecord(body) ? body : {};
  const wait = Number(reply.headers.get("retry-after") ?? "");
  return new ApiError(
    {
      status: reply.status,
      title: text(said["title"]) || reply.statusText || `HTTP ${reply.status}`,
      detail: text(said["detail"]),
      code: text(said["code"]),
      params: isRecord(said["params"]) ? said["params"] : {},
      text: words(said["text"]),
    },
    Number.isFinite(wait) && wait > 0 ? wait : null,
  );
}

export interface RequestOptions {
  query?: Query;
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
}

async function send(method: string, path: string, body: unknown, options: RequestOptions): Promise<Response> {
  const init: RequestInit = {
    method,
    credentials: "same-origin",
    headers: {
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(options.signal ? { signal: options.signal } : {}),
  };
  try {
    return await fetch(url(withQuery(path, options.query)), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, title: "The console does not answer", detail: "", code: "no_answer", params: {} });
  }
}

async function json<T>(method: string, path: string, body: unknown, options: RequestOptions): Promise<T> {
  const reply = await send(method, path, body, options);
  if (!reply.ok) throw await problemOf(reply);
  // What the models of the server promise; openapi-typescript made T of them.
  return (reply.status === 204 ? undefined : await reply.json()) as T;
}

/** A reply together with its ETag; `value` null: it has not changed since `etag`. */
export interface Tagged<T> {
  value: T | null;
  etag: string | null;
}

/** Requests below the base path. They throw ApiError. */
export const client = {
  get: <T>(path: string, options: RequestOptions = {}): Promise<T> => json<T>("GET", path, undefined, options),
  post: <T>(path: string, body: unknown = {}, options: RequestOptions = {}): Promise<T> => json<T>("POST", path, body, options),
  put: <T>(path: string, body: unknown, options: RequestOptions = {}): Promise<T> => json<T>("PUT", path, body, options),
  delete: <T>(path: string, options: RequestOptions = {}): Promise<T> => json<T>("DELETE", path, undefined, options),
  /** Asks only for what is newer than `etag`. */
  async getTagged<T>(path: string, etag: string | null, options: RequestOptions = {}): Promise<Tagged<T>> {
    const headers = { ...options.headers, ...(etag ? { "if-none-match": etag } : {}) };
    const reply = await send("GET", path, undefined, { ...options, headers });
    if (reply.status === 304) return { value: null, etag };
    if (!reply.ok) throw await problemOf(reply);
    return { value: (await reply.json()) as T, etag: reply.headers.get("etag") };
  },
  /** The reply itself, to read it as it comes. */
  async stream(path: string, options: RequestOptions = {}): Promise<Response> {
    const reply = await send("GET", path, undefined, { ...options, headers: { accept: "text/event-stream", ...options.headers } });
    if (!reply.ok) throw await problemOf(reply);
    return reply;
  },
};
