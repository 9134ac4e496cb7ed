/** Cameras, microphones and screens, and why one cannot be had. */

export type Trouble = "ask" | "blocked" | "missing" | "busy" | "insecure" | "other";

export interface Devices {
  cameras: MediaDeviceInfo[];
  microphones: MediaDeviceInfo[];
}

/** Heights that are offered, with their widths. */
export const SIZES = { "1080": 1920, "720": 1280, "540": 960, "360": 640 } as const;
export type Size = keyof typeof SIZES;

export interface Choice {
  /** Device ids; `null` leaves it to the browser, `""` is none. */
  camera: string | null;
  microphone: string | null;
  size: Size;
}

/** What stands in the way, from what the browser threw. */
export function trouble(error: unknown): Trouble {
  if (!globalThis.isSecureContext) return "insecure";
  const name = error instanceof DOMException ? error.name : "";
  const known: Record<string, Trouble> = {
    NotAllowedError: "blocked",
    SecurityError: "blocked",
    NotFoundError: "missing",
    OverconstrainedError: "missing",
    NotReadableError: "busy",
    AbortError: "busy",
  };
  return known[name] ?? "other";
}

export async function list(): Promise<Devices> {
  const all = await navigator.mediaDevices.enumerateDevices();
  const of = (kind: MediaDeviceKind) => all.filter((one) => one.kind === kind && one.deviceId);
  return { cameras: of("videoinput"), microphones: of("audioinput") };
}

/** Opens what is chosen. A choice of nothing at all is an error of the caller. */
export function open(choice: Choice): Promise<MediaStream> {
  if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
  const exact = (id: string | null) => (id ? { deviceId: { exact: id } } : {});
  const [height, width] = [Number(choice.size), SIZES[choice.size]];
  const size = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  const sound = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return navigator.mediaDevices.getUserMedia({
    video: choice.camera === "" ? false : { ...exact(choice.camera), ...size },
    audio: choice.microphone === "" ? false : { ...exact(choice.microphone), ...sound },
  });
}

/** A screen, window or tab, with its sound where the browser gives it. */
export function openScreen(): Promise<MediaStream> {
  return navigator.mediaDevices.getDisplayMedia({
    video: { frameRate: { ideal: 30 } },
    audio: true,
  });
}

/** Whether screens can be shared at all; phones cannot. */
export const canShareScreens = (): boolean =>
  typeof navigator.mediaDevices?.getDisplayMedia === "function";
