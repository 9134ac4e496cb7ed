"""What the `rapidocr-onnxruntime` package costs on the pictures that `text_cost --kept DIRECTORY` wrote.

usage: ocr_cost.py DIRECTORY
Prints the processor time of a call, as the package is used by default, over at most 30 pictures.
"""

import pathlib
import sys
import time

import cv2
import numpy as np
import rapidocr_onnxruntime

MOST = 30


def main(directory):
    files = sorted(pathlib.Path(directory).glob("*.i420"))
    files = files[:: -(-len(files) // MOST)]
    reader = rapidocr_onnxruntime.RapidOCR()
    spent, lines = 0.0, 0
    for file in files:
        width, height = map(int, file.name.split("-")[0].split("x"))
        flat = np.fromfile(file, np.uint8).reshape(height * 3 // 2, width)
        picture = cv2.cvtColor(flat, cv2.COLOR_YUV2BGR_I420)
        before = time.process_time()
        found, _ = reader(picture)
        spent += time.process_time() - before
        lines += len(found or ())
    print(f"{len(files)} pictures, {lines} lines; {1e3 * spent / len(files):.1f} ms of processor time a call")


main(*sys.argv[1:])
