"""What the `nudenet` package finds in pictures that both sides see as the same I420 samples.

usage: nudenet_reference.py DIRECTORY
Writes NAME.i420 files and index.json: where the model and ONNX Runtime lie, and as "pictures"
[{"name", "width", "height", "found": [{"class", "score", "box": [x, y, w, h]}]}]. The scenes are made from a public-domain
photograph that scikit-image carries: one face at several places, sizes and frame shapes.
"""

import json
import pathlib
import sys

import cv2
import numpy as np
import nudenet.nudenet as package
import onnxruntime
from skimage import data

FACE = (150, 20, 160, 190)  # x, y, w, h of head and shoulders in the 512x512 photograph


def scene(photo, size, places, background):
    width, height = size
    canvas = np.full((height, width, 3), background, np.uint8)
    ramp = np.linspace(-30, 30, width)[None, :, None]
    canvas = np.clip(canvas + ramp, 0, 255).astype(np.uint8)
    x, y, w, h = FACE
    face = photo[y : y + h, x : x + w]
    for left, top, tall in places:
        wide = round(tall * w / h)
        kind = cv2.INTER_AREA if tall < h else cv2.INTER_LINEAR
        canvas[top : top + tall, left : left + wide] = cv2.resize(face, (wide, tall), interpolation=kind)
    return canvas


def scenes(photo):
    yield "astronaut", photo
    yield "astronaut_wide", cv2.resize(photo, (1280, 1280), interpolation=cv2.INTER_LINEAR)[:720]
    yield "astronaut_small", cv2.resize(photo, (320, 320), interpolation=cv2.INTER_AREA)
    yield "one_720p", scene(photo, (1280, 720), [(500, 200, 300)], (70, 90, 60))
    yield "three_720p", scene(photo, (1280, 720), [(100, 100, 320), (560, 240, 220), (960, 380, 280)], (90, 80, 80))
    yield "large_720p", scene(photo, (1280, 720), [(380, 20, 660)], (40, 40, 60))
    yield "two_1080p", scene(photo, (1920, 1080), [(200, 150, 500), (1200, 480, 400)], (60, 60, 60))
    yield "one_480p", scene(photo, (640, 480), [(200, 120, 240)], (110, 120, 100))
    yield "odd_ratio", scene(photo, (854, 480), [(400, 100, 260)], (80, 70, 90))
    yield "tall", scene(photo, (720, 1280), [(180, 360, 420)], (80, 90, 80))


def to_i420(bgr):
    height, width = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
    return cv2.cvtColor(np.ascontiguousarray(bgr[:height, :width]), cv2.COLOR_BGR2YUV_I420), width, height


def main(directory):
    out = pathlib.Path(directory)
    detector = package.NudeDetector()
    index = []
    for name, bgr in scenes(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)):
        i420, width, height = to_i420(bgr)
        (out / f"{name}.i420").write_bytes(i420.tobytes())
        found = detector.detect(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420))
        index.append({"name": name, "width": width, "height": height, "found": found})
    runtime = pathlib.Path(onnxruntime.__file__).parent / "capi"
    found = {
        "onnxruntime": str(next(runtime.glob("libonnxruntime.so*"))),
        "models_dir": str(pathlib.Path(package.__file__).parent),
        "pictures": index,
    }
    (out / "index.json").write_text(json.dumps(found))


main(sys.argv[1])
