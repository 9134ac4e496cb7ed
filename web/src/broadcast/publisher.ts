import type { LocalTrackPublication, Room } from "livekit-client";
import { backoff } from "../lib/backoff";
import { livekit } from "../lib/livekit";
import { pause } from "../lib/sse";
import type { Ticket } from "../lib/types";

export type Codec = "auto" | "h264" | "vp9" | "av1";
export type VideoSource = "camera" | "screen";

/** How long a lost connection is tried again before the broadcast counts as over, in ms. */
export const PATIENCE = 90_000;

export interface Hooks {
  published(): void;
  lost(): void;
  /** Not to be had again, or somebody else took the place. */
  failed(why: "lost" | "moved"): void;
  quality(level: string): void;
}

export interface Sources {
  video: MediaStreamTrack | null;
  videoFrom: VideoSource;
  audio: MediaStreamTrack | null;
}

/** What the browser says of what it sends. */
export interface Sent {
  bytes: number;
  width: number;
  height: number;
  fps: number;
  codec: string;
  /** Frames that the camera gave and the encoder did not take. */
  dropped: number;
  /** The largest layer's reason for being smaller than asked: none, cpu, bandwidth, other. */
  limited: string;
}

/** Publishes tracks into the raw room until `stop`, over as many connections as it takes. */
export class Publisher {
  private room: Room | null = null;
  private readonly over = new AbortController();
  private video: LocalTrackPublication | null = null;
  private audio: LocalTrackPublication | null = null;

  constructor(
    private readonly ticket: Ticket,
    private readonly codec: Codec,
    private sources: Sources,
    private readonly hooks: Hooks,
  ) {
    void this.run();
  }

  stop(): void {
    this.over.abort();
    void this.room?.disconnect(false);
    this.room = null;
  }

  private async run(): Promise<void> {
    let [attempt, since] = [0, performance.now()];
    while (!this.over.signal.aborted) {
      let out: "again" | "moved" = "again";
      try {
        out = await this.once(() => {
          attempt = 0;
          this.hooks.published();
        });
        since = performance.now();
      } catch {
        // Tried again below.
      }
      if (this.over.signal.aborted) return;
      if (out === "moved") return this.hooks.failed("moved");
      if (performance.now() - since > PATIENCE) return this.hooks.failed("lost");
      this.hooks.lost();
      await pause(backoff(attempt++, Math.random(), 500, 5_000), this.over.signal);
    }
  }

  /** One connection, from joining to its end. */
  private async once(live: () => void): Promise<"again" | "moved"> {
    const lk = await livekit();
    if (this.over.signal.aborted) return "again";
    // The page itself says when it is left: asking "leave?" must not end the connection.
    const room = new lk.Room({ stopLocalTrackOnUnpublish: false, disconnectOnPageLeave: false });
    this.room = room;
    const out = new Promise<number | undefined>((resolve) => {
      room.on(lk.RoomEvent.Disconnected, resolve);
    });
    room
      .on(lk.RoomEvent.Reconnecting, () => this.hooks.lost())
      .on(lk.RoomEvent.SignalReconnecting, () => this.hooks.lost())
      .on(lk.RoomEvent.Reconnected, live)
      .on(lk.RoomEvent.ConnectionQualityChanged, (level, who) => {
        if (who.isLocal) this.hooks.quality(level);
      });
    try {
      await room.connect(this.ticket.wsUrl, this.ticket.token, { maxRetries: 0 });
      await this.publish(room);
    } catch (error) {
      await room.disconnect(false);
      throw error;
    }
    live();
    const reason = await out;
    this.room = null;
    return reason === lk.DisconnectReason.DUPLICATE_IDENTITY ? "moved" : "again";
  }

  private async publish(room: Room): Promise<void> {
    const { video, audio } = this.sources;
    this.video = this.audio = null;
    if (video) await this.publishVideo(room, video, this.sources.videoFrom);
    if (audio) await this.publishAudio(room, audio);
  }

  private async publishVideo(room: Room, track: MediaStreamTrack, from: VideoSource) {
    const { Track } = await livekit();
    this.video = await room.localParticipant.publishTrack(track, {
      source: from === "camera" ? Track.Source.Camera : Track.Source.ScreenShare,
      simulcast: from === "camera",
      // A second encoding for viewers is for Scrim to make, not for this machine.
      backupCodec: false,
      ...(this.codec === "auto" ? {} : { videoCodec: this.codec }),
    });
  }

  private async publishAudio(room: Room, track: MediaStreamTrack) {
    const { Track } = await livekit();
    const source = Track.Source.Microphone;
    this.audio = await room.localParticipant.publishTrack(track, { source });
  }

  /** Another camera, or a screen. The new one is there before the old one goes, so that the room
   *  is never without a picture: that would end the stream. */
  async setVideo(track: MediaStreamTrack, from: VideoSource): Promise<void> {
    const [before, same] = [this.video, this.sources.videoFrom === from];
    this.sources = { ...this.sources, video: track, videoFrom: from };
    if (!this.room || !before) return;
    if (same && before.videoTrack) {
      await before.videoTrack.replaceTrack(track, true);
      return;
    }
    await this.publishVideo(this.room, track, from);
    if (before.track) await this.room.localParticipant.unpublishTrack(before.track, false);
  }

  async setAudio(track: MediaStreamTrack | null): Promise<void> {
    const before = this.audio;
    this.sources = { ...this.sources, audio: track };
    if (!this.room) return;
    if (track && before?.audioTrack) await before.audioTrack.replaceTrack(track, true);
    else if (track) await this.publishAudio(this.room, track);
    else if (before?.track) {
      await this.room.localParticipant.unpublishTrack(before.track, false);
      this.audio = null;
    }
  }

  /** What is sent now; `null` while there is no picture. */
  async sent(): Promise<Sent | null> {
    const report = await this.video?.track?.getRTCStatsReport();
    if (!report) return null;
    const all = [...report.values()];
    const layers = all.filter((one) => one.type === "outbound-rtp" && one.kind === "video");
    const largest = layers.reduce(
      (best, one) => ((one.frameWidth ?? 0) > (best?.frameWidth ?? 0) ? one : best),
      layers[0],
    );
    if (!largest) return null;
    const source = all.find((one) => one.type === "media-source" && one.kind === "video");
    const codec = all.find((one) => one.id === largest.codecId);
    return {
      bytes: layers.reduce((sum, one) => sum + (one.bytesSent ?? 0), 0),
      width: largest.frameWidth ?? 0,
      height: largest.frameHeight ?? 0,
      fps: largest.framesPerSecond ?? 0,
      codec: String(codec?.mimeType ?? "").replace("video/", ""),
      dropped: Math.max(0, (source?.frames ?? 0) - (largest.framesEncoded ?? 0)),
      limited: String(largest.qualityLimitationReason ?? "none"),
    };
  }
}
