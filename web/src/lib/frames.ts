/** How long no new picture may come before a stream counts as interrupted, in milliseconds. */
export const STALL = 4_000;

/**
 * Tells when pictures come and when they stop. Returns what ends it. A page in the background is
 * shown nothing by the browser, which is no interruption.
 */
export function watchFrames(
  video: HTMLVideoElement,
  told: (coming: boolean) => void,
  stall = STALL,
): () => void {
  let [last, coming, handle, stopped] = [performance.now(), false, 0, false];
  const frame = () => {
    last = performance.now();
    if (!coming) {
      coming = true;
      told(true);
    }
    if (!stopped) handle = video.requestVideoFrameCallback(frame);
  };
  handle = video.requestVideoFrameCallback(frame);
  const timer = setInterval(() => {
    if (document.hidden) last = performance.now();
    if (coming && performance.now() - last > stall) {
      coming = false;
      told(false);
    }
  }, 500);
  return () => {
    stopped = true;
    clearInterval(timer);
    video.cancelVideoFrameCallback(handle);
  };
}
