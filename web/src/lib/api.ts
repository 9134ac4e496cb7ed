import { fill, t } from "../texts";
import type { Quota } from "./pace";

/** An error that the server described (RFC 9457), or the lack of an answer (status 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** Names the error for programs: the last part of its type. */
    readonly kind: string,
    detail: string,
    readonly body: Record<string, unknown> = {},
    /** Seconds after which to try again, where the server said so. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }

  /** Each of the things that are wrong. */
  get errors(): string[] {
    const errors = this.body.errors;
    return Array.isArray(errors) ? errors.map(String) : [this.message];
  }
}

const TOKEN = "scrim.token";

/** The bearer token of this tab, if somebody signed in. */
export const token = {
  get: (): string | null => sessionStorage.getItem(TOKEN),
  set: (value: string): void => sessionStorage.setItem(TOKEN, value),
  clear: (): void => sessionStorage.removeItem(TOKEN),
};

/** What the server last said of its limit of calls. */
let quota: Quota | null = null;
export const currentQuota = (): Quota | null => quota;

/** The headers of every call. */
export function headers(): Record<string, string> {
  const own = token.get();
  return own ? { authorization: `Bearer ${own}` } : {};
}

export interface Options {
  /** Sent as JSON; a form as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface Answer<T> {
  body: T;
  etag: string | null;
}

/** Calls the API. Throws a `Problem` for everything that is no success. */
export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  return (await ask<T>(method, path, options)).body;
}

/** The same, with what the headers say. */
export async function ask<T>(
  method: string,
  path: string,
  options: Options = {},
): Promise<Answer<T>> {
  const response = await send(method, path, options);
  const body = await json(response);
  return { body: body as T, etag: response.headers.get("etag") };
}

/** The same for a picture. */
export async function picture(path: string, body: FormData, signal: AbortSignal): Promise<Blob> {
  const headers = { accept: "image/webp, image/png, image/jpeg" };
  return (await send("POST", path, { body, headers, signal })).blob();
}

/** The same for a picture that is only fetched. */
export async function image(path: string, signal: AbortSignal): Promise<Blob> {
  return (await send("GET", path, { signal })).blob();
}

async function send(method: string, path: string, options: Options): Promise<Response> {
  const init: RequestInit = { method, headers: { ...headers(), ...options.headers } };
  if (options.body instanceof FormData) {
    init.body = options.body;
  } else if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { ...init.headers, "content-type": "application/json" };
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", t.common.unreachable);
  }
  remember(response.headers);
  if (!response.ok) throw problem(response, await json(response));
  return response;
}

function remember(from: Headers): void {
  // Tokens, changes of rules and pictures have limits of their own, which say nothing of the others.
  if (!/^("api"|$)/.test(from.get("ratelimit-policy") ?? "")) return;
  const [remaining, reset] = [from.get("ratelimit-remaining"), from.get("ratelimit-reset")];
  quota = remaining && reset ? { remaining: Number(remaining), resetSeconds: Number(reset) } : null;
}

async function json(response: Response): Promise<unknown> {
  if (!response.headers.get("content-type")?.includes("json")) return null;
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function problem(response: Response, body: unknown): Problem {
  const said = (body ?? {}) as Record<string, unknown>;
  const kind =
    String(said.type ?? "")
      .split(":")
      .at(-1) || String(response.status);
  const wait = Number(response.headers.get("retry-after"));
  const retryAfter = Number.isFinite(wait) && wait > 0 ? wait : null;
  const detail =
    response.status === 429 && retryAfter
      ? fill(t.common.tooMany, { seconds: retryAfter })
      : String(said.detail ?? response.statusText);
  return new Problem(response.status, kind, detail, said, retryAfter);
}

/** What a person is told about anything that was thrown. */
export function why(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
