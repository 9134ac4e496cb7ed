"""Writes what the fake camera and microphone play: the face scene of tests/e2e, one cycle of it.

    clip.py DIRECTORY

face.y4m and beeps.wav are what Chromium reads: both last as long, and a beep begins with each frame
whose number is a multiple of 30; faces.json gives x, y, width, height of the face in each frame, or
null. Frame n carries the number n along its upper edge (see tests/e2e/scene.py).
"""

import json
import pathlib
import sys
import wave

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import scene  # noqa: E402

directory = pathlib.Path(sys.argv[1])
film = scene.Scene("face")
with open(directory / "face.y4m", "wb") as out:
    out.write(f"YUV4MPEG2 W{scene.WIDTH} H{scene.HEIGHT} F{scene.FPS}:1 Ip A1:1 C420jpeg\n".encode())
    for index in range(film.CYCLE):
        out.write(b"FRAME\n")
        out.write(film.frame(index).tobytes())
faces = [film.face(index) for index in range(film.CYCLE)]
(directory / "faces.json").write_text(json.dumps(faces))

RATE = 48_000
time = np.arange(film.CYCLE * RATE // scene.FPS) / RATE
beeping = time % (scene.BEEP_EVERY / scene.FPS) < scene.BEEP_SECONDS
sound = 0.5 * beeping * np.sin(2 * np.pi * scene.BEEP_HZ * time)
with wave.open(str(directory / "beeps.wav"), "wb") as out:
    out.setnchannels(1)
    out.setsampwidth(2)
    out.setframerate(RATE)
    out.writeframes((32_767 * sound).astype("<i2").tobytes())
