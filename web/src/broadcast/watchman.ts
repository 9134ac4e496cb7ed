import { call, currentQuota, Problem } from "../lib/api";
import { pace } from "../lib/pace";
import { listen, type Message, pause } from "../lib/sse";
import { type Detection, isOver, type Started, type Stream, type StreamPage } from "../lib/types";
import { measure } from "./delay";
import type { Figures } from "./figures";
import type { Publisher } from "./publisher";
import type { Strip } from "./strip";
import type { Theirs } from "./theirs";

/** How often the server is asked for the stream's figures, and how often the delay is measured. */
const ASK = 2_000;
const MEASURE = 8_000;

/** What there is to look after. */
export interface Air {
  room: string;
  name: string;
  publisher: Publisher;
  figures: Figures;
  strip: Strip;
  /** The camera's picture, and what viewers see. */
  mine: HTMLVideoElement;
  theirs: Theirs;
  /** Whether the broadcast runs undisturbed. */
  live(): boolean;
  /** The stream is over, and this page did not end it. */
  over(last: Stream): void;
}

/** Looks after a stream while it is on air: its figures, its delay, and whether it still runs. */
export class Watchman {
  private readonly since = performance.now();
  private readonly off = new AbortController();
  /** Whether the server did not answer since the stream was last seen. */
  private away = false;

  constructor(
    private readonly air: Air,
    private streamId: string,
  ) {
    const { signal } = this.off;
    void this.follow(signal);
    void this.watchDelay(signal);
    const happened = (message: Message) => this.event(message.event, message.data);
    // Events break off when the server stops: a stream that is over then was not ended by anyone.
    const broken = () => {
      this.away = true;
    };
    void listen("/events", signal, happened, broken);
  }

  stop(): void {
    this.off.abort();
  }

  /** Says how long it has been each second, and asks for figures every other. */
  private async follow(signal: AbortSignal): Promise<void> {
    let asked = 0;
    const { figures, publisher } = this.air;
    while (!signal.aborted) {
      const now = performance.now();
      figures.time((now - this.since) / 1_000);
      figures.sent(await publisher.sent(), performance.now());
      if (now - asked >= pace(ASK, currentQuota()) && this.streamId) {
        asked = now;
        await this.lookAfter(signal).catch(() => undefined);
      }
      await pause(1_000, signal);
    }
  }

  /** Asks how the stream is. One that is over without our doing: the connection was made anew and
   *  has another by now, the server lost it, or an operator ended it. */
  private async lookAfter(signal: AbortSignal): Promise<void> {
    let stream: Stream | null = null;
    try {
      stream = await call<Stream>("GET", `/streams/${this.streamId}`, { signal });
    } catch (error) {
      if (!(error instanceof Problem) || signal.aborted) return;
      this.away ||= error.status === 0 || error.status >= 500;
      if (error.kind !== "unknown-stream") return;
    }
    if (stream && !isOver(stream.state)) {
      this.away = false;
      this.air.figures.server(stream.statistics);
      return;
    }
    if (!this.air.live()) return;
    const path = `/streams?room=${this.air.room}&limit=1`;
    const { streams } = await call<StreamPage>("GET", path, { signal });
    const [latest] = streams;
    if (latest && !isOver(latest.state)) this.streamId = latest.streamId;
    else if (this.away || !stream) await this.startAgain(signal);
    else if (!signal.aborted) this.air.over(stream);
  }

  /** The server was away and knows this stream no more; the room is still ours. */
  private async startAgain(signal: AbortSignal): Promise<void> {
    const body = { roomName: this.air.room, participantName: this.air.name };
    const started = await call<Started>("POST", "/stream/start", { body, signal });
    this.streamId = started.streamId;
    this.away = false;
  }

  private async watchDelay(signal: AbortSignal): Promise<void> {
    const { mine, theirs, figures } = this.air;
    while (!signal.aborted) {
      await pause(1_000, signal);
      if (!theirs.coming || document.hidden) continue;
      const found = await measure(mine, theirs.view, (ms) => pause(ms, signal));
      if (found !== null && !signal.aborted) figures.delay(found);
      if (found !== null) await pause(MEASURE, signal);
    }
  }

  private event(kind: string, data: string): void {
    const event = JSON.parse(data) as Detection;
    if (event.roomName !== this.air.room) return;
    const at = event.at ? new Date(event.at) : new Date();
    if (kind === "detection") this.air.strip.add(event, at);
    // A connection that had to be made anew gets a stream of its own.
    if (kind === "stream.started") this.streamId = event.streamId;
  }
}
