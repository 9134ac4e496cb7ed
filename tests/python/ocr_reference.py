"""What the `rapidocr-onnxruntime` package reads in pictures that both sides see as the same I420 samples.

usage: ocr_reference.py DIRECTORY [--truth-only]
Writes NAME.i420 files and index.json: where ONNX Runtime and the models lie, and as "pictures"
[{"name", "condition", "width", "height", "lines": [{"text", "quad", "words"}], "found": [{"text", "score", "quad"}]}]:
what was written where (words: start and end of each as shares of the line's length), and what the package found. Everything is made from a seed: DejaVu fonts and the one that
Pillow carries, sizes, colours, angles, perspective, blur, noise, contrast, textures, and a public-domain photograph.
"""

import json
import pathlib
import random
import sys

import cv2
import numpy as np
import onnxruntime
import rapidocr_onnxruntime
from PIL import Image, ImageDraw, ImageFont
from skimage import data

SIZE = (1280, 720)
FONTS = pathlib.Path("/usr/share/fonts/truetype/dejavu")
FACES = ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono", None]
WORDS = """about above account across against always another answer because before behind believe better between bridge
brother camera change children clear coffee coming computer country corner could damn darn degree delivery donate
evening every example family favourite finally follow friend garden ghost going hammer happy history house hundred idiot
island journey kitchen ladder language later letter level listen little loading machine market minute moment morning
mountain nothing number object office orange outside paper perfect picture player please pocket police popular problem
quarter question quickly rabbit ready really record remember river score season second share silver simple someone
special station stream street strong student stupid subscribe summer system table thanks themselves thunder together
tomorrow travel trouble turtle under until update village visitor volume wallet water weather weekend welcome window
winner winter without wonder yellow yesterday zebra""".split()
PICTURES = 2  # for each condition


def phrase(rng, words):
    parts = [rng.choice(WORDS) for _ in range(words)]
    style = rng.random()
    if style < 0.25:
        parts = [part.capitalize() for part in parts]
    elif style < 0.4:
        parts = [part.upper() for part in parts]
    if rng.random() < 0.3:
        parts.append(str(rng.randrange(10, 99999)))
    if rng.random() < 0.15:
        parts[-1] += rng.choice("!?.")
    return " ".join(parts)


def font(face, size):
    return ImageFont.load_default(size) if face is None else ImageFont.truetype(FONTS / f"{face}.ttf", size)


def gradient(rng):
    width, height = SIZE
    base = np.array([rng.randrange(30, 226) for _ in range(3)], np.float32)
    slope = np.array([rng.uniform(-40, 40) for _ in range(3)], np.float32)
    ramp = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * slope
    return np.clip(np.broadcast_to(base + ramp, (height, width, 3)), 0, 255).astype(np.uint8)


def texture(rng):
    width, height = SIZE
    photo = cv2.resize(data.astronaut(), (width, width), interpolation=cv2.INTER_LINEAR)
    top = rng.randrange(0, width - height)
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 12, (height, width, 3))
    return np.clip(photo[top : top + height].astype(np.float32) * 0.6 + 50 + noise, 0, 255).astype(np.uint8)


def colours(rng, ground, contrast):
    """A colour that differs from the mean of what it stands on by `contrast` of its luma."""
    luma = float(ground.reshape(-1, 3).mean(axis=0) @ [0.299, 0.587, 0.114])
    level = luma - contrast if luma > 127 else luma + contrast
    tint = [rng.uniform(-25, 25) if contrast > 80 else 0 for _ in range(3)]
    return tuple(int(np.clip(level + t, 0, 255)) for t in tint)


def spans(face, text):
    """Where each word begins and ends, as shares of the line's length."""
    left, _, right, _ = face.getbbox(text)
    found, at = [], 0
    for word in text.split(" "):
        begins = face.getlength(text[:at])
        box = face.getbbox(word)
        found.append([round((begins + edge - left) / (right - left), 4) for edge in (box[0], box[2])])
        at += len(word) + 1
    return found


def line(rng, canvas, text, place, setup):
    """Writes one line. Returns its corners, clockwise from the top left as one reads, and where its words are."""
    face, size, contrast, angle = setup
    face = font(face, size)
    left, top, right, bottom = face.getbbox(text)
    width, height = right - left, bottom - top
    x, y = place
    matrix = cv2.getRotationMatrix2D((0, 0), -angle, 1.0)
    matrix[:, 2] = (x, y)
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    if corners.min() < 2 or corners[:, 0].max() > SIZE[0] - 3 or corners[:, 1].max() > SIZE[1] - 3:
        return None
    layer = Image.new("L", (width + 4, height + 4))
    ImageDraw.Draw(layer).text((2 - left, 2 - top), text, font=face, fill=255)
    if angle:
        shifted = matrix.copy()
        shifted[:, 2] -= matrix[:, :2] @ (2, 2)
        alpha = cv2.warpAffine(np.asarray(layer), shifted, SIZE, flags=cv2.INTER_LINEAR)
    else:
        alpha = np.zeros((SIZE[1], SIZE[0]), np.uint8)
        part = np.asarray(layer)
        alpha[y - 2 : y + height + 2, x - 2 : x + width + 2] = part
    box = [int(v) for v in (*corners.min(axis=0), *np.ceil(corners.max(axis=0)))]
    colour = colours(rng, canvas[box[1] : box[3] + 1, box[0] : box[2] + 1], contrast)
    mix = (alpha.astype(np.float32) / 255)[..., None]
    canvas[:] = np.round(canvas * (1 - mix) + np.array(colour, np.float32) * mix).astype(np.uint8)
    return corners, spans(face, text)


def page(rng, condition):
    """A picture with lines that do not touch, and where they stand."""
    canvas = texture(rng) if condition == "texture" else gradient(rng)
    size = {"small16": (16, 16), "small12": (12, 12), "large": (72, 110), "long": (18, 30)}.get(condition, (22, 48))
    contrast = {"low contrast": (28, 45), "faint": (18, 26)}.get(condition, (110, 190))
    angles = {"rotated": (-25, 25), "downwards": (90, 90)}.get(condition, (0, 0))
    if condition == "downwards":
        size = (26, 44)
    lines, boxes = [], []
    for _ in range(400):
        if len(lines) == (8 if condition != "large" else 4):
            break
        points = rng.randint(*size)
        words = rng.randint(9, 13) if condition == "long" else rng.randint(1, 3)
        text = phrase(rng, words)
        angle = rng.uniform(*angles)
        place = (rng.randrange(20, SIZE[0] - 100), rng.randrange(20, SIZE[1] - 30))
        if condition == "long":
            place = (rng.randrange(20, 60), place[1])
        before = canvas.copy()
        written = line(rng, canvas, text, place, (rng.choice(FACES), points, rng.uniform(*contrast), angle))
        if written is None:
            continue
        quad, words = written
        margin = points * 1.2
        box = (*(quad.min(axis=0) - margin), *(quad.max(axis=0) + margin))
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in boxes):
            canvas[:] = before
            continue
        boxes.append((*quad.min(axis=0), *quad.max(axis=0)))
        lines.append({"text": text, "quad": quad, "words": words})
    return canvas, lines


def spoil(rng, condition, canvas, lines):
    """What happens to the picture once it is written."""
    if condition == "blur":
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1.6, 2.2))
    elif condition == "noise":
        noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 28, canvas.shape)
        canvas = np.clip(canvas.astype(np.float32) + noise, 0, 255).astype(np.uint8)
    elif condition == "perspective":
        width, height = SIZE
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        shift = np.array([[rng.uniform(0, 0.16) * width, rng.uniform(0, 0.16) * height] for _ in range(4)], np.float32)
        target = source + shift * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        canvas = cv2.warpPerspective(canvas, matrix, SIZE, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        for entry in lines:
            entry["quad"] = cv2.perspectiveTransform(entry["quad"][None].astype(np.float32), matrix)[0]
    elif condition == "compressed":
        canvas = cv2.imdecode(cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 22])[1], cv2.IMREAD_COLOR)
    return canvas, lines


CONDITIONS = ["plain", "small16", "small12", "large", "long", "low contrast", "faint", "noise", "blur", "compressed", "texture",
              "rotated", "perspective", "downwards"]


def pictures():
    for condition in CONDITIONS:
        for number in range(PICTURES):
            rng = random.Random(f"{condition} {number}")
            yield f"{condition.replace(' ', '_')}_{number}", condition, *spoil(rng, condition, *page(rng, condition))


def main(directory, *options):
    out = pathlib.Path(directory)
    reader = None if options else rapidocr_onnxruntime.RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    index = []
    for name, condition, rgb, lines in pictures():
        bgr = np.ascontiguousarray(rgb[:, :, ::-1])
        i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
        (out / f"{name}.i420").write_bytes(i420.tobytes())
        found = reader(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420))[0] if reader else []
        index.append({
            "name": name, "condition": condition, "width": SIZE[0], "height": SIZE[1],
            "lines": [{**one, "quad": np.round(one["quad"], 2).tolist()} for one in lines],
            "found": [{"quad": quad, "text": text, "score": float(score)} for quad, text, score in found or []],
        })
    runtime = pathlib.Path(onnxruntime.__file__).parent / "capi"
    (out / "index.json").write_text(json.dumps({
        "onnxruntime": str(next(runtime.glob("libonnxruntime.so*"))),
        "models_dir": str(pathlib.Path(rapidocr_onnxruntime.__file__).parent / "models"),
        "pictures": index,
    }))


main(*sys.argv[1:])
