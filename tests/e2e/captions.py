"""Lines of text in a film, made from a frame's number alone."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FORBIDDEN = ("damn", "bastard")
# By how much a line's plate is larger than its letters, in pixels.
MARGIN = 6
INK, PLATE = 235, 40

# For each film, in frames of a cycle: first, last, words, height of the letters, and where: the
# upper left corner of the plate, `step` frames after the first.
CYCLE = 150
LINES = {
    "text": (
        (0, 149, ("COFFEE", "window"), 30, lambda step: (30, 300)),
        (20, 79, ("Sunday", "damn", "market"), 36, lambda step: (60, 90)),
        (90, 134, ("BASTARD",), 40, lambda step: (40 + 5 * step, 180)),
    ),
    # Beside a face that is never down there.
    "both": (
        (5, 64, ("market", "damn"), 30, lambda step: (40, 308)),
        (75, 134, ("damn", "garden"), 30, lambda step: (220, 308)),
    ),
    # For the pictures of docs/RULES.md.
    "poster": (
        (0, 149, ("Welcome", "to", "Scunthorpe"), 34, lambda step: (30, 36)),
        (0, 149, ("Well", "d4mn,", "that", "was", "close"), 30, lambda step: (90, 106)),
        (0, 149, ("holyDamn2024:", "nice", "hat"), 26, lambda step: (40, 172)),
        (0, 149, ("call", "0151", "23456789"), 28, lambda step: (130, 234)),
        (0, 149, ("Amsterdam", "sends", "its", "regards"), 28, lambda step: (60, 296)),
    ),
}


@functools.cache
def plate(words, size):
    """The luma of a line on its plate, and where each word stands on it: x, y, width, height."""
    font, line = ImageFont.load_default(size), " ".join(words)
    left, top, right, bottom = font.getbbox(line)
    shape = [(side + 2 * MARGIN + 1) & ~1 for side in (right - left, bottom - top)]
    image, boxes, at = Image.new("L", shape, PLATE), {}, 0
    ImageDraw.Draw(image).text((MARGIN - left, MARGIN - top), line, font=font, fill=INK)
    for word in words:
        box, start = font.getbbox(word), font.getlength(line[:at]) + MARGIN - left
        boxes[word] = (start + box[0], MARGIN + box[1] - top, box[2] - box[0], box[3] - box[1])
        at += len(word) + 1
    return np.asarray(image), boxes


def shown(film, index):
    """The lines on a frame: the plate, its corner, and its words with their boxes."""
    at = index % CYCLE
    for first, last, words, size, where in LINES.get(film, ()):
        if first <= at <= last:
            luma, boxes = plate(words, size)
            yield luma, tuple(int(value) & ~1 for value in where(at - first)), boxes


def draw(parts, film, index):
    """Writes the lines into the three planes of a frame."""
    for luma, (left, top), _ in shown(film, index):
        height, width = luma.shape
        parts[0][top : top + height, left : left + width] = luma
        for chroma in parts[1:]:
            chroma[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] = 128


def words(film, index):
    """(word, box in the picture) of everything written on a frame."""
    for _, (left, top), boxes in shown(film, index):
        for word, (x, y, w, h) in boxes.items():
            yield word, (left + x, top + y, w, h)


def age(film, index, word):
    """How many frames the word has been there."""
    at = index % CYCLE
    return min(at - first for first, last, words, *_ in LINES[film] if first <= at <= last and word in words)
