"""Broadcasts into Scrim, watches what viewers get, and saves both side by side.

The server must be running (scripts/up). Every sent frame carries its number as a row of black and
white blocks along its lower edge; that is how a received frame finds its original. A frame whose
row is covered is placed by its time of arrival and the median delay of the others.
"""

import argparse
import asyncio
import binascii
import json
import pathlib
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
from livekit import api, rtc

WIDTH, HEIGHT, FPS = 1280, 720, 30
# What is kept of a frame, for the side-by-side picture.
SMALL = (640, 360)
BITRATE = 2_500_000
DEV_KEY, DEV_SECRET = "devkey", "devsecret-devsecret-devsecret-32ch"
# What may still be in the server's delay and the viewer's buffer when the last frame is sent.
DRAIN_SECONDS = 2


def planes(frame, width, height):
    """The Y, U and V planes of a contiguous I420 picture, as views."""
    luma, chroma = width * height, (width // 2) * (height // 2)
    flat = np.frombuffer(frame, np.uint8) if not isinstance(frame, np.ndarray) else frame.reshape(-1)
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma : luma + 2 * chroma].reshape(half),
    )


class Number:
    """A frame's number as 32 blocks: 1, 0, 20 bits of number, 10 bits of checksum."""

    BLOCKS, ROWS = 32, 16

    @staticmethod
    def word(index):
        return 1 << 31 | index << 10 | binascii.crc32(index.to_bytes(4, "big")) & 0x3FF

    @classmethod
    def write(cls, frame, index):
        y, u, v = planes(frame, WIDTH, HEIGHT)
        bits = [cls.word(index) >> (cls.BLOCKS - 1 - n) & 1 for n in range(cls.BLOCKS)]
        y[-cls.ROWS :] = np.repeat(np.where(bits, 235, 16).astype(np.uint8), WIDTH // cls.BLOCKS)
        for plane in (u, v):
            plane[-cls.ROWS // 2 :] = 128

    @classmethod
    def read(cls, y):
        """The number, or None where the row is covered. `y` may be scaled."""
        height, width = y.shape
        rows = max(2, cls.ROWS * height // HEIGHT)
        strip = y[height - rows + rows // 4 : height - rows // 4]
        centres = ((np.arange(cls.BLOCKS) + 0.5) * width / cls.BLOCKS).astype(int)
        levels = np.mean([strip[:, centres + shift].mean(axis=0) for shift in (-4, 0, 4)], axis=0)
        word = int("".join("1" if level > 125 else "0" for level in levels), 2)
        index = word >> 10 & 0xFFFFF
        return index if word == cls.word(index) else None


class MadeUpScene:
    """A face (scikit-image's public-domain astronaut) that wanders over a drifting background,
    leaves for a while and comes back, so that there is always clean video too."""

    SHOWN, HIDDEN = 5.0, 3.0

    def __init__(self):
        from skimage import data

        head = cv2.resize(data.astronaut()[8:236, 120:336, ::-1], None, fx=1.25, fy=1.25)
        self.height, self.width = head.shape[0] & ~1, head.shape[1] & ~1
        head = np.ascontiguousarray(head[: self.height, : self.width])
        self.head = planes(cv2.cvtColor(head, cv2.COLOR_BGR2YUV_I420), self.width, self.height)
        ellipse = np.zeros((self.height, self.width), np.float32)
        middle = (self.width // 2, self.height // 2)
        cv2.ellipse(ellipse, middle, (self.width * 4 // 9, self.height * 4 // 9), 0, 0, 360, 1, -1)
        soft = cv2.GaussianBlur(ellipse, (0, 0), 6)
        half = cv2.resize(soft, (self.width // 2, self.height // 2))
        self.alpha = (soft, half, half)
        wide = np.linspace(0, 2 * np.pi, WIDTH, endpoint=False)
        tall = np.linspace(0, np.pi, HEIGHT)[:, None]
        luma = 95 + 35 * np.sin(wide) * np.sin(tall) + 12 * np.sin(8 * wide + 3 * tall)
        self.back = (
            luma.astype(np.uint8),
            (140 + 20 * np.cos(wide[::2]) * np.sin(tall[::2])).astype(np.uint8),
            (120 + 15 * np.sin(wide[::2] + tall[::2])).astype(np.uint8),
        )

    def __iter__(self):
        index = 0
        while True:
            yield self.frame(index)
            index += 1

    def frame(self, index):
        frame = np.empty(WIDTH * HEIGHT * 3 // 2, np.uint8)
        target = planes(frame, WIDTH, HEIGHT)
        for plane, back, shift in zip(target, self.back, (2, 1, 1)):
            plane[:] = np.roll(back, index * shift, axis=1)
        seconds = index / FPS
        if seconds % (self.SHOWN + self.HIDDEN) < self.SHOWN:
            x = int((0.5 + 0.45 * np.sin(0.9 * seconds)) * (WIDTH - self.width)) & ~1
            y = int((0.5 + 0.40 * np.sin(1.7 * seconds)) * (HEIGHT - self.height - 60)) & ~1
            for plane, head, alpha, by in zip(target, self.head, self.alpha, (1, 2, 2)):
                rows, columns = head.shape
                under = plane[y // by : y // by + rows, x // by : x // by + columns]
                under[:] = head * alpha + under * (1 - alpha)
        clock = f"{int(seconds) // 60:02}:{int(seconds) % 60:02}.{index % FPS:02}"
        cv2.putText(target[0], clock, (40, HEIGHT - 40), cv2.FONT_HERSHEY_DUPLEX, 1.6, 235, 2)
        return frame


class File:
    """A video file through ffmpeg, scaled into the frame with its proportions kept, over and over."""

    def __init__(self, path):
        if not path.is_file():
            sys.exit(f"error: no such file: {path}")
        fit = (
            f"fps={FPS},scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=decrease,"
            f"pad={WIDTH}:{HEIGHT}:-1:-1,format=yuv420p"
        )
        self.command = ["ffmpeg", "-v", "error", "-nostdin", "-stream_loop", "-1", "-i", str(path)]
        self.command += ["-an", "-vf", fit, "-f", "rawvideo", "pipe:1"]

    def __iter__(self):
        size = WIDTH * HEIGHT * 3 // 2
        with subprocess.Popen(self.command, stdout=subprocess.PIPE) as process:
            try:
                while len(picture := process.stdout.read(size)) == size:
                    yield np.frombuffer(picture, np.uint8).copy()
            finally:
                process.kill()
        sys.exit("error: ffmpeg gave no more frames; its message is above")


def ahead(source):
    """Numbered frames made by a thread, a few ahead of their time."""
    ready = queue.Queue(maxsize=8)
    done = threading.Event()

    def work():
        for index, frame in enumerate(source):
            Number.write(frame, index)
            while not done.is_set():
                try:
                    ready.put((index, frame), timeout=0.5)
                    break
                except queue.Full:
                    continue
            if done.is_set():
                return

    threading.Thread(target=work, daemon=True).start()
    return ready, done


def post(server, route, body):
    request = urllib.request.Request(
        server + route, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"error: POST {route} answered {error.code}: {error.read().decode()[:500]}")
    except OSError as error:
        sys.exit(f"error: no server at {server} ({error}); start it with scripts/up")


def own_token(room, identity, publish):
    grants = api.VideoGrants(room_join=True, room=room, can_publish=publish)
    token = api.AccessToken(DEV_KEY, DEV_SECRET).with_identity(identity)
    return token.with_grants(grants).to_jwt()


class Received:
    """What the viewer got: small pictures in a file, and for each its number and time."""

    def __init__(self, file):
        self.file, self.rows = file, []

    async def watch(self, track):
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
        async for event in stream:
            now, frame = time.monotonic(), event.frame
            parts = planes(bytes(frame.data), frame.width, frame.height)
            for plane, by in zip(parts, (1, 2, 2)):
                size = (SMALL[0] // by, SMALL[1] // by)
                self.file.write(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))
            self.rows.append((now, Number.read(parts[0])))


async def broadcast(ready, capture, seconds, sent):
    """Sends a frame at each tick; a tick that was missed is a frame dropped, as by a camera."""
    begin = time.monotonic()
    for tick in range(int(seconds * FPS)):
        while True:
            try:
                index, frame = ready.get_nowait()
            except queue.Empty:
                await asyncio.sleep(0.002)
                continue
            if index >= tick:
                break
        late = time.monotonic() - begin - tick / FPS
        if late > 1 / FPS:
            continue
        await asyncio.sleep(max(0, -late))
        sent[index] = time.monotonic()
        capture.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, frame.data))


async def perform(options, source, room, tokens, received):
    """Joins both rooms, sends for the asked time, and returns when each frame was sent."""
    viewer, broadcaster, watching = rtc.Room(), rtc.Room(), []

    @viewer.on("track_subscribed")
    def _(track, _publication, _participant):
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            watching.append(asyncio.ensure_future(received.watch(track)))

    await viewer.connect(tokens["url"], tokens["viewer"])
    await broadcaster.connect(tokens["url"], tokens["broadcaster"])
    capture = rtc.VideoSource(WIDTH, HEIGHT)
    track = rtc.LocalVideoTrack.create_video_track("camera", capture)
    await broadcaster.local_participant.publish_track(
        track,
        rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_codec=getattr(rtc.VideoCodec, options.codec.upper()),
            video_encoding=rtc.VideoEncoding(max_bitrate=BITRATE, max_framerate=FPS),
        ),
    )
    print(f"    broadcasting {options.seconds} s of {WIDTH}x{HEIGHT} {options.codec} into {room}")
    sent, (ready, done) = {}, ahead(source)
    try:
        await broadcast(ready, capture, options.seconds, sent)
        await asyncio.sleep(DRAIN_SECONDS)
    finally:
        done.set()
        for task in watching:
            task.cancel()
        await broadcaster.disconnect()
        await viewer.disconnect()
    return sent


def place(rows, sent):
    """For each received frame the number of the sent frame it shows; and the median delay."""
    delays = [now - sent[index] for now, index in rows if index in sent]
    if not delays:
        sys.exit("error: no received frame could be matched: every one was covered whole")
    delay = statistics.median(delays)
    numbers, times = np.array(list(sent)), np.array(list(sent.values()))
    shown = []
    for now, index in rows:
        if index not in sent:
            at = np.searchsorted(times, now - delay, side="right") - 1
            index = int(numbers[max(0, at)])
        shown.append(index)
    return shown, delay


def small_bgr(frame, width=WIDTH, height=HEIGHT):
    picture = cv2.cvtColor(
        np.ascontiguousarray(frame).reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420
    )
    return picture if (width, height) == SMALL else cv2.resize(picture, SMALL, interpolation=cv2.INTER_AREA)


def label(picture, text):
    cv2.rectangle(picture, (0, 0), (12 + 11 * len(text), 30), (30, 30, 30), -1)
    cv2.putText(picture, text, (8, 21), cv2.FONT_HERSHEY_DUPLEX, 0.6, (240, 240, 240), 1, cv2.LINE_AA)


def compose(options, source, pictures, shown, sent):
    """Writes demo.mp4 (sent left, received right) and demo.png (six moments of it)."""
    by_index = {index: number for number, index in enumerate(shown)}
    first, last = min(by_index), max(by_index)
    moments = set(np.linspace(first, last, 8).astype(int)[1:-1])
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{2 * SMALL[0]}x{SMALL[1]}", "-r", str(FPS), "-i", "pipe:0"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-pix_fmt", "yuv420p"]
    command += ["-movflags", "+faststart", str(options.out / "demo.mp4")]
    sheet, right, gap = [], None, {"value": (255, 255, 255), "borderType": cv2.BORDER_CONSTANT}
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for index, frame in enumerate(source):
            if index > last:
                break
            if index in by_index:
                right = small_bgr(pictures[by_index[index]], *SMALL)
                label(right, "viewer sees")
            if right is None or index not in sent:
                continue
            Number.write(frame, index)
            left = small_bgr(frame)
            label(left, "broadcaster sends")
            both = np.hstack([left, right])
            encoder.stdin.write(both.tobytes())
            if index in moments or (sheet and len(sheet) < 6 and index == last):
                both = cv2.resize(both, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
                sheet.append(cv2.copyMakeBorder(both, 6, 6, 6, 6, **gap))
    if encoder.returncode:
        sys.exit("error: ffmpeg could not write demo.mp4; its message is above")
    while len(sheet) % 2:
        sheet.append(np.zeros_like(sheet[0]))
    rows = [np.hstack(sheet[n : n + 2]) for n in range(0, len(sheet), 2)]
    cv2.imwrite(str(options.out / "demo.png"), np.vstack(rows))


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--file", type=pathlib.Path, help="video file to play instead of the scene")
    parser.add_argument("--seconds", type=int, default=16, help="how long to broadcast")
    parser.add_argument("--codec", choices=["h264", "vp8"], default="h264")
    parser.add_argument("--classes", default="FACE_FEMALE,FACE_MALE", help="what the rules cover")
    parser.add_argument("--action", default="pixelate", help="how: blur, pixelate, solid, cover")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."), metavar="DIR")
    parser.add_argument("--loopback", action="store_true", help="watch the raw room, without Scrim")
    parser.add_argument("--server", help=argparse.SUPPRESS)
    parser.add_argument("--livekit", help=argparse.SUPPRESS)
    return parser.parse_args()


def enter(options, room):
    """The tokens of both sides, from the server; in loopback made here, for the raw room."""
    if options.loopback:
        return {
            "url": options.livekit,
            "broadcaster": own_token(room, "broadcaster", True),
            "viewer": own_token(room, "viewer", False),
        }
    classes = {name: {"threshold": 0.25, "action": options.action} for name in options.classes.split(",")}
    stream = post(options.server, "/stream/start", {"roomName": room, "rules": {"classes": classes}})
    viewer = {"roomName": room, "participantName": "demo viewer", "role": "viewer"}
    return {
        "url": stream["wsUrl"],
        "broadcaster": stream["token"],
        "viewer": post(options.server, "/token", viewer)["token"],
    }


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    room = f"demo-{int(time.time())}"
    source = File(options.file) if options.file else MadeUpScene()
    tokens = enter(options, room)
    with tempfile.TemporaryFile() as file:
        received = Received(file)
        sent = asyncio.run(perform(options, source, room, tokens, received))
        if not options.loopback:
            summary = post(options.server, "/stream/end", {"roomName": room})
            print("    server:", json.dumps(summary))
        if not received.rows:
            sys.exit("error: the viewer received no frame; see .scrim/log/scrim.log")
        shown, delay = place(received.rows, sent)
        file.flush()
        shape = (len(shown), SMALL[1] * 3 // 2, SMALL[0])
        pictures = np.memmap(file, np.uint8, "r", shape=shape)
        covered = sum(index is None for _, index in received.rows)
        print(f"    sent {len(sent)}, received {len(shown)} frames ({covered} covered whole)")
        print(f"    from camera to viewer {delay * 1000:.0f} ms (median)")
        compose(options, source, pictures, shown, sent)
    print(f"    wrote {options.out / 'demo.mp4'} and {options.out / 'demo.png'}")


if __name__ == "__main__":
    main()
