import { call, currentQuota, Problem, token, why } from "../lib/api";
import { pace } from "../lib/pace";
import { listen, pause } from "../lib/sse";
import { expect } from "../lib/tickets";
import { type Detection, isOver, type Stream, type StreamPage } from "../lib/types";
import { History } from "./history";

/** How often the server is asked for all streams, in milliseconds. */
const ASK = 2_000;

/** Streams on a page of the list: the most that the server gives. */
const PAGE = 200;

/** Detections that are kept for the streams' pages. */
const DETECTIONS = 1_000;

/** Detections that are asked for when a stream is opened. */
const RECALLED = 200;

export interface Seen extends Detection {
  /** Milliseconds since 1970. */
  time: number;
}

/** A detection that was told of has a picture now. */
interface Pictured {
  detectionId: string;
}

function seen(found: Detection): Seen {
  return { ...found, time: found.at ? Date.parse(found.at) : Date.now() };
}

/** All that is live, kept up to date: asked for, and told by events. */
export class Live {
  streams: Stream[] = [];
  readonly histories = new Map<string, History>();
  readonly detections: Seen[] = [];
  /** Grows with each picture of a detection that was already told of. */
  pictures = 0;
  /** Why the last question had no answer; empty when it had one. */
  trouble = "";
  /** When it last had one. */
  asked = new Date();
  private readonly readers = new Set<() => void>();
  private wake = new AbortController();

  constructor() {
    const never = new AbortController().signal;
    void this.poll();
    void listen("/events", never, (message) => {
      if (message.event === "detection") this.detected(JSON.parse(message.data) as Detection);
      else if (message.event === "thumbnail") this.pictured(JSON.parse(message.data) as Pictured);
      else if (message.event.startsWith("stream.")) this.wake.abort();
    });
  }

  /** Calls `reader` after each change until the returned function is called. */
  subscribe(reader: () => void): () => void {
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  }

  get(id: string): Stream | undefined {
    return this.streams.find((one) => one.streamId === id);
  }

  /** A stream that was just changed, before the next answer says so. */
  replace(stream: Stream): void {
    this.streams = this.streams.map((one) => (one.streamId === stream.streamId ? stream : one));
    this.tell();
  }

  private tell(): void {
    for (const reader of this.readers) reader();
  }

  private detected(found: Detection): void {
    this.detections.push(seen(found));
    if (this.detections.length > DETECTIONS) this.detections.shift();
    this.tell();
  }

  private pictured({ detectionId }: Pictured): void {
    const found = this.detections.find((one) => one.detectionId === detectionId);
    if (!found) return;
    found.hasThumbnail = true;
    this.pictures += 1;
    this.tell();
  }

  /** What was found in a stream before this page was opened, where the server keeps it. */
  async recall(stream: string): Promise<void> {
    const path = `/censorship/events?stream=${stream}&limit=${RECALLED}`;
    const { events } = await call<{ events: Detection[] }>("GET", path);
    const known = new Set(this.detections.map((one) => one.detectionId));
    const fresh = events.filter((one) => !known.has(one.detectionId)).map(seen);
    this.detections.push(...fresh);
    this.detections.sort((a, b) => a.time - b.time);
    this.detections.splice(0, Math.max(0, this.detections.length - DETECTIONS));
    this.tell();
  }

  private async poll(): Promise<void> {
    for (;;) {
      if (!document.hidden) await this.tryToAsk();
      this.wake = new AbortController();
      await pause(pace(ASK, currentQuota()), this.wake.signal);
    }
  }

  private async tryToAsk(): Promise<void> {
    try {
      await this.ask();
      this.trouble = "";
    } catch (error) {
      // A token that holds no more: the form again.
      if (error instanceof Problem && error.status === 401) {
        token.clear();
        location.reload();
      }
      this.trouble = why(error);
      this.tell();
    }
  }

  private async ask(): Promise<void> {
    const all: Stream[] = [];
    let cursor = "";
    do {
      const path = `/streams?limit=${PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      const page = await call<StreamPage>("GET", path);
      const live = page.streams.filter((one) => !isOver(one.state));
      all.push(...live);
      // Newest first: a page without a live one is followed by older ones only.
      cursor = live.length > 0 ? (page.nextCursor ?? "") : "";
    } while (cursor);
    const now = performance.now();
    for (const one of all) {
      const history = this.histories.get(one.streamId) ?? new History();
      this.histories.set(one.streamId, history);
      history.add(now, one.statistics);
    }
    const live = new Set(all.map((one) => one.streamId));
    for (const id of this.histories.keys()) if (!live.has(id)) this.histories.delete(id);
    this.streams = all.sort((a, b) => a.roomName.localeCompare(b.roomName));
    expect(this.streams.map((one) => one.roomName));
    this.asked = new Date();
    this.trouble = "";
    this.tell();
  }
}
