import { headers, Problem } from "./api";
import { backoff } from "./backoff";

/** One server-sent event. */
export interface Message {
  id: string;
  event: string;
  data: string;
}

/**
 * Cuts a stream of text into events (HTML standard, section 9.2.6). `EventSource` cannot carry a
 * bearer token, so the lines are read here.
 */
export class Parser {
  private rest = "";
  private id = "";
  private event = "";
  private data: string[] = [];

  /** The events that are complete with this piece of text. */
  push(text: string): Message[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    return lines.map((line) => this.line(line)).filter((message) => message !== null);
  }

  private line(line: string): Message | null {
    if (line === "") {
      const { data, event } = this;
      this.data = [];
      this.event = "";
      if (data.length === 0) return null;
      return { id: this.id, event: event || "message", data: data.join("\n") };
    }
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
    return null;
  }
}

/** Longest silence of a connection that lives: the server says something every 15 s. */
const SILENCE = 40_000;

/**
 * Reads an event stream until `signal` aborts, with the last id after a break, and with back-off.
 * A refusal by the server (401, 403, 404) ends it. `lost` is told of every break.
 */
export async function listen(
  path: string,
  signal: AbortSignal,
  take: (message: Message) => void,
  lost: () => void = () => undefined,
): Promise<void> {
  let [last, attempt] = ["", 0];
  while (!signal.aborted) {
    const silence = new AbortController();
    const stop = () => silence.abort();
    signal.addEventListener("abort", stop);
    try {
      await read(path, last, silence, (message) => {
        attempt = 0;
        if (message.id) last = message.id;
        take(message);
      });
    } catch (error) {
      if (error instanceof Problem && error.status >= 401 && error.status <= 404) return;
    } finally {
      signal.removeEventListener("abort", stop);
    }
    lost();
    await pause(backoff(attempt++, Math.random()), signal);
  }
}

async function read(
  path: string,
  last: string,
  silence: AbortController,
  take: (message: Message) => void,
): Promise<void> {
  const own: Record<string, string> = last ? { "last-event-id": last } : {};
  const response = await fetch(path, {
    headers: { accept: "text/event-stream", ...headers(), ...own },
    signal: silence.signal,
  });
  if (!response.ok || !response.body) throw new Problem(response.status, "events", "refused");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new Parser();
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENCE);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    for (const message of parser.push(value)) take(message);
  }
}

/** Waits, or less long when `signal` aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}
