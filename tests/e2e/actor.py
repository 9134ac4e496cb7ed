"""A broadcaster or a viewer on the real LiveKit SDK, as a process of its own.

    actor.py broadcast|watch DIRECTORY

Takes one JSON object a line on standard input ({"do": ...}: see `Broadcaster` and `Viewer`), and
reports what happens the same way on standard output. Times are CLOCK_MONOTONIC, which all
processes of the machine share. What it captured or received lies in DIRECTORY after "stop".
"""

import asyncio
import json
import os
import pathlib
import sys
import threading
import time

import numpy as np
from livekit import rtc

import scene

RATE = 48_000
BLOCK = RATE // 100


def report(event, **values):
    """One line for the harness."""
    print(json.dumps({"event": event, "at": time.monotonic(), **values}), flush=True)


def room_options(command):
    if not (key := command.get("key")):
        return rtc.RoomOptions()
    provider = rtc.KeyProviderOptions(shared_key=key.encode())
    return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=provider))


class Broadcaster:
    """join {url, token, codec, simulcast, film, key?}, screen {film}, mute, unmute, leave, stop."""

    def __init__(self, directory):
        self.log = open(directory / "sent.txt", "w", buffering=1)
        self.begin, self.room, self.tasks, self.films = None, None, [], {}

    async def join(self, command):
        self.room = rtc.Room()
        await self.room.connect(command["url"], command["token"], room_options(command))
        sound = rtc.AudioSource(RATE, 1, queue_size_ms=0)
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", sound)
        source = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        await self.room.local_participant.publish_track(microphone, source)
        await self.publish(command, rtc.TrackSource.SOURCE_CAMERA)
        self.tasks.append(asyncio.create_task(self.speak(sound)))

    async def screen(self, command):
        await self.publish({"codec": "vp8", **command}, rtc.TrackSource.SOURCE_SCREENSHARE)

    async def publish(self, command, source):
        capture = rtc.VideoSource(scene.WIDTH, scene.HEIGHT)
        track = rtc.LocalVideoTrack.create_video_track("picture", capture)
        options = rtc.TrackPublishOptions(
            source=source,
            simulcast=command.get("simulcast", False),
            video_codec=getattr(rtc.VideoCodec, command.get("codec", "h264").upper()),
            video_encoding=rtc.VideoEncoding(max_bitrate=2_000_000, max_framerate=scene.FPS),
        )
        film = self.films.setdefault(command["film"], scene.Scene(command["film"]))
        await self.room.local_participant.publish_track(track, options)
        self.camera = track
        camera = source == rtc.TrackSource.SOURCE_CAMERA
        self.tasks.append(asyncio.create_task(self.show(film, capture, camera)))

    async def show(self, film, capture, camera):
        """A frame at each tick; a tick that was missed is a frame dropped, as by a camera."""
        if self.begin is None:
            self.begin = time.monotonic()
            report("showing")
        last = -1
        while True:
            index = max(last + 1, int((time.monotonic() - self.begin) * scene.FPS))
            flat = film.frame(index)
            await asyncio.sleep(max(0, self.begin + index / scene.FPS - time.monotonic()))
            size = (scene.WIDTH, scene.HEIGHT)
            picture = rtc.VideoFrame(*size, rtc.VideoBufferType.I420, flat.data)
            if camera:
                self.log.write(f"{index} {time.monotonic():.6f}\n")
            capture.capture_frame(picture)
            last = index

    async def speak(self, sound):
        """A beep from the moment of each second's first frame."""
        block = max(0, int((time.monotonic() - self.begin) * 100))
        while True:
            await asyncio.sleep(max(0, self.begin + block / 100 - time.monotonic()))
            times = block / 100 + np.arange(BLOCK) / RATE
            beeps = times % (scene.BEEP_EVERY / scene.FPS) < scene.BEEP_SECONDS
            wave = np.where(beeps, 0.5 * np.sin(2 * np.pi * scene.BEEP_HZ * times), 0)
            samples = (wave * 32767).astype(np.int16)
            await sound.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE, 1, BLOCK))
            block = max(block + 1, int((time.monotonic() - self.begin) * 100) - 5)

    async def mute(self, _):
        self.camera.mute()

    async def unmute(self, _):
        self.camera.unmute()

    async def leave(self, _):
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()
        await self.room.disconnect()

    async def stop(self, _):
        self.log.close()


class Viewer:
    """join {url, token}, figures, stop. Only stores: one row a picture, its bytes in a file, and how loud
    each hundredth of a second is."""

    def __init__(self, directory):
        self.directory = directory
        self.store = open(directory / "pictures.i420", "wb", buffering=0)
        self.rows, self.sound, self.tasks, self.offset = [], [], [], 0
        self.room = rtc.Room()
        self.room.on("track_subscribed", self.subscribed)
        self.room.on("disconnected", lambda reason: report("disconnected", reason=str(reason)))

    def subscribed(self, track, publication, participant):
        video = track.kind == rtc.TrackKind.KIND_VIDEO
        report("track", video=video, identity=participant.identity, codec=publication.mime_type)
        camera = publication.source != rtc.TrackSource.SOURCE_SCREENSHARE
        if video and camera:
            self.picture = track
        work = self.watch(track, camera) if video else self.listen(track)
        self.tasks.append(asyncio.create_task(work))

    async def watch(self, track, camera):
        first = True
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            now, frame = time.monotonic(), event.frame
            data = np.frombuffer(frame.data, np.uint8)
            index = scene.read_number(scene.planes(data, frame.width, frame.height)[0])
            self.store.write(data)
            row = (now, -1 if index is None else index, frame.width, frame.height)
            self.rows.append((*row, self.offset, camera))
            self.offset += len(data)
            if first:
                first = False
                report("first", camera=camera)

    async def listen(self, track):
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        async for event in stream:
            samples = np.frombuffer(event.frame.data, np.int16).astype(np.float32)
            self.sound.append((time.monotonic(), float(np.sqrt(np.mean(samples**2)))))

    async def join(self, command):
        await self.room.connect(command["url"], command["token"], room_options(command))

    async def figures(self, _):
        """What WebRTC counted of the picture."""
        for entry in await self.picture.get_stats():
            if entry.WhichOneof("stats") == "inbound_rtp":
                counts, packets = entry.inbound_rtp.inbound, entry.inbound_rtp.received
                report(
                    "figures", lost=packets.packets_lost, nacks=counts.nack_count,
                    requests=counts.pli_count, dropped=counts.frames_dropped,
                    freezes=counts.freeze_count, decoded=counts.frames_decoded,
                    received=counts.frames_received, keyframes=counts.key_frames_decoded,
                )

    async def stop(self, _):
        for task in self.tasks:
            task.cancel()
        self.store.close()
        rows = np.array(self.rows, np.float64).reshape(-1, 6)
        sound = np.array(self.sound, np.float64).reshape(-1, 2)
        np.savez(self.directory / "received.npz", rows=rows, sound=sound)


async def obey(actor):
    """Commands one by one, read by a thread: the loop's own reader needs a pipe that does not
    block, which standard input is not everywhere."""
    loop, commands = asyncio.get_running_loop(), asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(commands.put_nowait, {"do": "stop"})

    threading.Thread(target=read, daemon=True).start()
    report("ready")
    while True:
        command = await commands.get()
        try:
            await getattr(actor, command["do"])(command)
            report("done", what=command["do"])
        except Exception as error:  # whatever the SDK raises is the answer
            report("refused", what=command["do"], why=f"{type(error).__name__}: {error}")
        if command["do"] == "stop":
            # Without the interpreter's tear-down: the SDK's threads still call back.
            os._exit(0)


if __name__ == "__main__":
    roles = {"broadcast": Broadcaster, "watch": Viewer}

    async def main():
        await obey(roles[sys.argv[1]](pathlib.Path(sys.argv[2])))

    asyncio.run(main())
