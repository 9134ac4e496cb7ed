"""What the broadcaster films, made from a frame's number alone: the judge makes it again.

Every frame carries its number as a row of black and white blocks along its upper edge. The face is
scikit-image's public-domain astronaut.
"""

import binascii

import cv2
import numpy as np

import captions

WIDTH, HEIGHT, FPS = 640, 360, 30
# Rows of the number, and its blocks: 1, 0, 20 bits of number, 10 bits of checksum.
ROWS, BLOCKS = 16, 32
# A beep at the beginning of every second's first frame.
BEEP_EVERY, BEEP_SECONDS, BEEP_HZ = FPS, 0.06, 1000
# The face inside the picture of the head, as shares of its width and height.
FACE_BOX = (0.23, 0.31, 0.47, 0.43)
HEADS = (160, 200)


def planes(flat, width=WIDTH, height=HEIGHT):
    """Views of the three planes of an I420 picture."""
    luma, chroma = width * height, (width // 2) * (height // 2)
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma : luma + 2 * chroma].reshape(half),
    )


def word(index):
    """The number with its frame and checksum, as 32 bits."""
    return 1 << 31 | index << 10 | binascii.crc32(index.to_bytes(4, "big")) & 0x3FF


def write_number(parts, index):
    """Writes the row of blocks."""
    bits = [word(index) >> (BLOCKS - 1 - n) & 1 for n in range(BLOCKS)]
    parts[0][:ROWS] = np.repeat(np.where(bits, 235, 16).astype(np.uint8), WIDTH // BLOCKS)
    for plane in parts[1:]:
        plane[: ROWS // 2] = 128


def read_number(luma):
    """The number; None where the row is covered or damaged. The picture may be scaled."""
    height, width = luma.shape
    rows = max(2, ROWS * height // HEIGHT)
    strip = luma[rows // 4 : rows - rows // 4]
    centres = ((np.arange(BLOCKS) + 0.5) * width / BLOCKS).astype(int)
    levels = np.mean([strip[:, centres + by].mean(axis=0) for by in (-2, 0, 2)], axis=0)
    value = int("".join("1" if level > 125 else "0" for level in levels), 2)
    index = value >> 10 & 0xFFFFF
    return index if value == word(index) else None


def _texture(seed, level):
    """A busy picture that wraps around from right to left: noise of three sizes."""
    rng = np.random.default_rng(seed)
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for size, strength in ((64, 26), (16, 10), (4, 5)):
        coarse = rng.normal(0, strength, (HEIGHT // size + 2, WIDTH // size)).astype(np.float32)
        coarse = np.hstack([coarse, coarse[:, :1]])
        total += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return np.clip(level + total, 20, 230).astype(np.uint8)


class Scene:
    """`kind`: "face" has a face that moves, vanishes, pops up, survives a cut and flashes;
    "clean" has none; "text" has lines of text instead; "both" a face and lines."""

    # A cycle of the face scene in frames: (first, last, background, head, where). `where` gives
    # the upper left corner of the head, `step` frames after the first.
    SPANS = (
        (0, 44, 0, 0, lambda step: (20 + 9 * step, 90 + (3 * step) % 40)),
        (45, 64, 0, None, None),
        (65, 89, 0, 1, lambda step: (420 - 2 * step, 60)),
        (90, 119, 1, 1, lambda step: (80 + 4 * step, 110 - 2 * step)),
        (120, 139, 2, None, None),
        (140, 142, 2, 0, lambda step: (300, 120)),
        (143, 149, 2, None, None),
    )
    CYCLE = 150

    def __init__(self, kind):
        self.kind = kind
        self.has_face = kind in ("face", "both")
        self.backs = [
            (_texture(seed, level), *chroma)
            for seed, level, chroma in ((1, 95, (120, 136)), (2, 150, (136, 120)), (3, 70, (128, 128)))
        ]
        if self.has_face:
            self.heads = [self._head(height) for height in HEADS]

    @staticmethod
    def _head(height):
        from skimage import data

        head = data.astronaut()[20:220, 140:320, ::-1]
        width = round(height * head.shape[1] / head.shape[0]) & ~1
        head = cv2.resize(head, (width, height), interpolation=cv2.INTER_AREA)
        flat = cv2.cvtColor(np.ascontiguousarray(head), cv2.COLOR_BGR2YUV_I420).reshape(-1)
        return planes(flat, width, height)

    def _span(self, index):
        step = index % self.CYCLE
        return next((span, step - span[0]) for span in self.SPANS if span[0] <= step <= span[1])

    def face(self, index):
        """x, y, width, height of the face; None when there is none."""
        if not self.has_face:
            return None
        (_, _, _, head, where), step = self._span(index)
        if head is None:
            return None
        height, width = self.heads[head][0].shape
        left, top = where(step)
        x, y, w, h = FACE_BOX
        return (left + x * width, top + y * height, w * width, h * height)

    def frame(self, index):
        """The I420 picture, flat."""
        flat = np.empty(WIDTH * HEIGHT * 3 // 2, np.uint8)
        parts = planes(flat)
        (_, _, back, head, where), step = self._span(index)
        luma, u, v = self.backs[back if self.has_face else 0]
        shift = index % WIDTH
        parts[0][:, :shift], parts[0][:, shift:] = luma[:, WIDTH - shift :], luma[:, : WIDTH - shift]
        parts[1][:], parts[2][:] = u, v
        if self.has_face and head is not None:
            left, top = (value & ~1 for value in where(step))
            for plane, patch, by in zip(parts, self.heads[head], (1, 2, 2)):
                rows, columns = patch.shape
                plane[top // by : top // by + rows, left // by : left // by + columns] = patch
        captions.draw(parts, self.kind, index)
        write_number(parts, index)
        return flat
