"""Writes the clips that the fake camera plays: the face scene of tests/e2e, one cycle of it.

    clip.py DIRECTORY

face.y4m is what Chromium reads; faces.json gives x, y, width, height of the face in each frame, or
null. Frame n carries the number n along its upper edge (see tests/e2e/scene.py).
"""

import json
import pathlib
import sys

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
