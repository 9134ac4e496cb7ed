"""What may not have been seen, decided after the run from what the viewer received.

A received frame leaks when NudeNet finds a face on the truth, or when the face's own detail is
still there. A frame whose number cannot be read must show nothing at all.
"""

import cv2
import numpy as np

import captions
import scene

SCORE = 0.25
FACES = ("FACE_FEMALE", "FACE_MALE")
# Of a detection, this share of the true face must lie inside it to count.
OVERLAP = 0.3
# Share of the original's detail that is left in a cell, and of cells that must have it. A blurred
# or filled face keeps under 0.1 of it, an encoded one 0.7 and more.
KEPT, CELLS = 0.5, 0.25
GRID = 4
# Every so many pictures are read besides, with what is around a word, in pixels.
READ_EVERY, READ_AROUND = 10, 6
# Blocks of the picture compared when nothing may have changed, and how far they may differ.
BLOCK, CHANGED = 40, 14
# Deviation of the luma of a picture that shows nothing; what encoding leaves of a plain one is 1.
FLAT = 6


def _detail(luma, size):
    """The band that faces are recognised by."""
    sigma = max(0.8, 0.022 * size)
    fine = cv2.GaussianBlur(luma, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return fine - cv2.GaussianBlur(luma, (0, 0), 2.2 * sigma, borderType=cv2.BORDER_REFLECT_101)


def legible(original, received, face):
    """Whether the face's own detail is there: the regression of received on original detail."""
    x, y, w, h = (round(value) for value in face)
    cut = (slice(y, y + h), slice(x, x + w))
    was, now = (_detail(luma[cut].astype(np.float32), min(w, h)) for luma in (original, received))
    squares = lambda values: cv2.resize(values, (GRID, GRID), interpolation=cv2.INTER_AREA)
    power, common = squares(was * was), squares(was * now)
    counts = power > max(2, 0.1 * power.mean())
    return float((common[counts] / power[counts] > KEPT).mean()) >= CELLS


class Judge:
    """Loads the model once."""

    def __init__(self):
        from nudenet import NudeDetector

        self.detector, self.reader = NudeDetector(), None
        self.scenes = {}

    def film(self, kind):
        if kind not in self.scenes:
            self.scenes[kind] = scene.Scene(kind)
        return self.scenes[kind]

    def sees(self, flat, face, width=scene.WIDTH, height=scene.HEIGHT):
        """The best score of a face that the detector finds on the truth, or on anything when the
        truth is not known."""
        picture = cv2.cvtColor(flat.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)
        best = 0.0
        for found in self.detector.detect(picture):
            if found["class"] in FACES and found["score"] >= SCORE:
                if face is None or _inside(face, found["box"]) >= OVERLAP:
                    best = max(best, found["score"])
        return best

    def leaks(self, received, kind):
        """[(position, number, why)] of the frames that show what they must not."""
        found, made = [], self.film(kind)
        for at, row in enumerate(received.rows):
            if row.index is None:
                luma = received.luma(at)
                if luma.std() > FLAT and (why := self._nameless(received, at)):
                    found.append((at, None, why))
                continue
            face = made.face(row.index)
            if face is None:
                continue
            flat = received.full(at)
            if legible(scene.planes(made.frame(row.index))[0], scene.planes(flat)[0], face):
                found.append((at, row.index, "the face's detail is there"))
            elif score := self.sees(flat, face):
                found.append((at, row.index, f"NudeNet sees a face, {score:.2f}"))
        return found

    def words(self, received, kind):
        """(row, word, whether it can be read) for every word of the numbered frames, as written."""
        made = self.film(kind)
        for at, row in enumerate(received.rows):
            if row.index is None:
                continue
            was, now = (scene.planes(flat)[0] for flat in (made.frame(row.index), received.full(at)))
            for word, box in captions.words(kind, row.index):
                seen = legible(was, now, box) or (at % READ_EVERY == 0 and self.reads(now, box, word))
                yield row, word, seen

    def reads(self, luma, box, word):
        """Whether RapidOCR reads the word where it stands."""
        if self.reader is None:
            from rapidocr_onnxruntime import RapidOCR

            self.reader = RapidOCR()
        x, y, w, h = (round(value) for value in box)
        top, left = max(0, y - READ_AROUND), max(0, x - READ_AROUND)
        crop = cv2.cvtColor(luma[top : y + h + READ_AROUND, left : x + w + READ_AROUND], cv2.COLOR_GRAY2BGR)
        found, _ = self.reader(crop, use_det=False, use_cls=False)
        return any(word.lower() in text.lower() for text, _ in found or ())

    def _nameless(self, received, at):
        score = self.sees(received.full(at), None)
        return f"no number, and NudeNet sees a face, {score:.2f}" if score else None

    def altered(self, received, kind):
        """[(position, number, blocks)] of the numbered frames with blocks unlike the original."""
        found, made = [], self.film(kind)
        size = (scene.WIDTH // BLOCK, scene.HEIGHT // BLOCK)
        mean = lambda values: cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        for at, row in enumerate(received.rows):
            if row.index is None:
                continue
            was = scene.planes(made.frame(row.index))[0].astype(np.float32)
            now = scene.planes(received.full(at))[0].astype(np.float32)
            # Blur keeps a block's mean and takes its detail: both are looked at.
            before, after = _detail(was, 100), _detail(now, 100)
            power, common = mean(before * before), mean(before * after)
            moved = np.abs(mean(was) - mean(now)) > CHANGED
            washed = (power > 4) & (common / (power + 1e-6) < 0.3)
            if count := int((moved | washed).sum()):
                found.append((at, row.index, count))
        return found


def _inside(face, box):
    x, y, w, h = face
    a, b, c, d = box
    wide = max(0, min(x + w, a + c) - max(x, a))
    tall = max(0, min(y + h, b + d) - max(y, b))
    return wide * tall / (w * h)
