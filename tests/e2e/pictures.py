"""Makes the pictures of docs/RULES.md: what a broadcaster sends, and what a viewer is shown of it.

usage: .venv/bin/python tests/e2e/pictures.py docs/pictures

Needs what the end-to-end tests need. The picture is made up; the covers are those of the server.
"""

import pathlib
import sys
import time

import cv2
import harness
import numpy as np
import scene
from PIL import Image

FILM = "poster"
TEXT = {"enabled": True, "languages": [], "words": ["damn"], "contacts": ["phone"]}
RULES = {
    "text-word": {"classes": {}, "text": TEXT},
    "text-line": {"classes": {}, "text": {**TEXT, "cover": "line", "action": "solid"}},
}
# Until everything was read and the picture is as good as it gets.
SECONDS = 5


def save(flat, path):
    """Writes an I420 picture without its number."""
    rgb = cv2.cvtColor(flat.reshape(scene.HEIGHT * 3 // 2, scene.WIDTH), cv2.COLOR_YUV2RGB_I420)
    Image.fromarray(np.ascontiguousarray(rgb[scene.ROWS :])).save(path, quality=75, method=6)


def main(directory):
    out = pathlib.Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    stack = harness.Stack()
    try:
        stack.start_livekit()
        stack.start_scrim()
        for name, rules in RULES.items():
            with stack.stage(FILM, rules=rules) as stream:
                time.sleep(SECONDS)
                received = stream.viewer.received()
            at, row = [(at, row) for at, row in enumerate(received.rows) if row.index is not None][-1]
            save(scene.Scene(FILM).frame(row.index), out / "text-before.webp")
            save(received.full(at), out / f"{name}.webp")
    finally:
        stack.close(keep=None)


main(*sys.argv[1:])
