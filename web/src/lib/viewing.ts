import type { RemoteTrackPublication, RemoteVideoTrack, Room } from "livekit-client";
import { Problem } from "./api";
import { backoff } from "./backoff";
import { type Livekit, livekit } from "./livekit";
import { pause } from "./sse";
import { forget, ticketFor, type Watcher } from "./tickets";

/** What happens to somebody who watches a processed room. */
export type Happening =
  | { kind: "joined" }
  | { kind: "track"; on: boolean }
  /** In the room for a while, and there is no picture. */
  | { kind: "quiet" }
  | { kind: "reconnecting" }
  | { kind: "reconnected" }
  /** The room is gone or closed: the stream is over. */
  | { kind: "ended" }
  /** Out of the room for another reason; tried again by itself. */
  | { kind: "lost" }
  /** Tried no more: the server refused, or somebody else took the place. */
  | { kind: "refused"; problem: Problem };

export interface Hooks {
  happened(what: Happening): void;
  /** The picture to show, or none. */
  video(track: RemoteVideoTrack | null, publication: RemoteTrackPublication | null): void;
  /** The sound of the same source, or none. */
  audio?(track: MediaStreamTrack | null): void;
  signal?(quality: string): void;
}

export interface Wanted extends Watcher {
  sound: boolean;
}

/** How long after joining a picture that is there may take, in milliseconds. */
const QUIET = 2_500;

/** Whether trying again can help. */
function passing(problem: Problem): boolean {
  return problem.status === 0 || problem.status === 429 || problem.status >= 500;
}

/**
 * Watches a processed room until `stop`: joins, and joins again whatever happens. A stream that
 * ended leaves it waiting for the next one in the same room.
 */
export class Viewing {
  private readonly over = new AbortController();
  private room: Room | null = null;
  private main: RemoteTrackPublication | null = null;

  constructor(
    private readonly wanted: Wanted,
    private readonly hooks: Hooks,
  ) {
    void this.run();
    addEventListener("online", this.hurry);
    addEventListener("pagehide", this.leave);
  }

  /** The room while it is joined, for figures. */
  get current(): Room | null {
    return this.room;
  }

  stop(): void {
    this.over.abort();
    removeEventListener("online", this.hurry);
    removeEventListener("pagehide", this.leave);
    void this.room?.disconnect();
    this.room = null;
  }

  /** Ends the wait for the next try. */
  private wake = new AbortController();
  private readonly hurry = (): void => this.wake.abort();
  private readonly leave = (): void => this.stop();

  private async run(): Promise<void> {
    let attempt = 0;
    while (!this.over.signal.aborted) {
      const begun = performance.now();
      try {
        const ended = await this.once();
        if (this.over.signal.aborted) return;
        if (performance.now() - begun > 10_000) attempt = 0;
        this.hooks.happened({ kind: ended ? "ended" : "lost" });
      } catch (error) {
        if (this.over.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem(0, "lost", String(error));
        if (!passing(problem)) {
          this.hooks.happened({ kind: "refused", problem });
          return;
        }
        this.hooks.happened({ kind: "lost" });
        if (problem.retryAfter) await this.rest(problem.retryAfter * 1_000);
      }
      await this.rest(backoff(attempt++, Math.random()));
    }
  }

  private async rest(milliseconds: number): Promise<void> {
    this.wake = new AbortController();
    const either = new AbortController();
    const stop = () => either.abort();
    this.wake.signal.addEventListener("abort", stop);
    this.over.signal.addEventListener("abort", stop);
    await pause(milliseconds, either.signal);
    this.over.signal.removeEventListener("abort", stop);
  }

  /** From joining to being out again; whether the stream is over. */
  private async once(): Promise<boolean> {
    const [lk, ticket] = await Promise.all([livekit(), ticketFor(this.wanted, this.over.signal)]);
    if (this.over.signal.aborted) return true;
    const room = new lk.Room({ disconnectOnPageLeave: false });
    this.room = room;
    const out = new Promise<number | undefined>((resolve) => {
      room.on(lk.RoomEvent.Disconnected, resolve);
    });
    this.follow(lk, room);
    try {
      await room.connect(ticket.wsUrl, ticket.token, { autoSubscribe: true, maxRetries: 0 });
    } catch (error) {
      // A token that is no longer taken is asked for anew.
      forget(this.wanted);
      await room.disconnect();
      throw new Problem(0, "lost", error instanceof Error ? error.message : String(error));
    }
    if (this.over.signal.aborted) {
      await room.disconnect();
      return true;
    }
    this.hooks.happened({ kind: "joined" });
    this.choose(lk, room);
    const quiet = setTimeout(() => {
      if (!this.main) this.hooks.happened({ kind: "quiet" });
    }, QUIET);
    const reason = await out;
    clearTimeout(quiet);
    this.room = null;
    this.show(null);
    const { DisconnectReason } = lk;
    if (reason === DisconnectReason.DUPLICATE_IDENTITY) forget(this.wanted);
    return (
      reason === DisconnectReason.ROOM_DELETED ||
      reason === DisconnectReason.ROOM_CLOSED ||
      reason === DisconnectReason.PARTICIPANT_REMOVED
    );
  }

  private follow(lk: Livekit, room: Room): void {
    const { RoomEvent } = lk;
    const choose = () => this.choose(lk, room);
    room
      .on(RoomEvent.TrackSubscribed, choose)
      .on(RoomEvent.TrackUnsubscribed, choose)
      .on(RoomEvent.TrackUnpublished, choose)
      .on(RoomEvent.SignalReconnecting, () => this.hooks.happened({ kind: "reconnecting" }))
      .on(RoomEvent.Reconnecting, () => this.hooks.happened({ kind: "reconnecting" }))
      .on(RoomEvent.Reconnected, () => {
        this.hooks.happened({ kind: "reconnected" });
        this.choose(lk, room);
      })
      .on(RoomEvent.ConnectionQualityChanged, (quality, participant) => {
        if (participant.isLocal) this.hooks.signal?.(quality);
      });
  }

  /** Shows the screen where one is shared, else the camera, and plays that one's sound. */
  private choose(lk: Livekit, room: Room): void {
    const { Source } = lk.Track;
    const all = [...room.remoteParticipants.values()].flatMap((one) => [
      ...one.trackPublications.values(),
    ]);
    const find = (source: string) => all.find((one) => one.source === source && one.track);
    this.show(find(Source.ScreenShare) ?? find(Source.Camera) ?? null);
    const sound = find(Source.Microphone) ?? find(Source.ScreenShareAudio);
    if (this.wanted.sound) this.hooks.audio?.(sound?.track?.mediaStreamTrack ?? null);
  }

  private show(publication: RemoteTrackPublication | null): void {
    const [before, track] = [this.main, publication?.track ?? null];
    if (before?.track === track && before?.trackSid === publication?.trackSid) return;
    this.main = publication;
    this.hooks.video(track as RemoteVideoTrack | null, publication);
    this.hooks.happened({ kind: "track", on: track !== null });
  }
}
