"""Small pictures of detections: what is covered stays covered in them, what is around it is there."""

import urllib.request

import cv2
import numpy as np

import scene
from harness import RULES, check, wait
from judge import FACES

WANTED = {**RULES, "record": {"thumbnails": True}}
# Detections with a picture that are looked at; the scene shows faces of two sizes.
PICTURES = 8
# As in src/thumbnail/draw.rs: the size in pixels, and how many times what was found is shown.
WIDTH, HEIGHT, AROUND = 96, 72, 3.0
# Of a face less than this is left, as a share of its own detail; around it more than this.
COVERED, SEEN = 0.35, 0.8
# Where a picture shows no cover: pixels from its edge to what was found, as a share of that.
MARGIN = 0.45


def thumbnail(stack, event):
    """The luma of the picture of a detection."""
    url = f"{stack.http}/censorship/events/{event['detectionId']}/thumbnail"
    with urllib.request.urlopen(url, timeout=20) as response:
        kind, caching = response.headers["content-type"], response.headers["cache-control"]
        check((kind, caching) == ("image/jpeg", "no-store"), f"it is {kind}, {caching}")
        file = response.read()
    check(len(file) < 8192, f"{len(file)} bytes")
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    height, width = picture.shape[:2]
    check(width <= WIDTH and height <= HEIGHT, f"it has {width}x{height} pixels")
    return picture


def window(box):
    """What is shown of the frame around a box: left, top, width, height."""
    x, y, w, h = box
    aspect = WIDTH / HEIGHT
    wanted = max(w * AROUND, h * AROUND * aspect, WIDTH)
    wide, high = min(int(wanted), scene.WIDTH), min(int(wanted / aspect), scene.HEIGHT)
    begin = lambda centre, length, side: int(min(max(centre - length / 2, 0), side - length)) & ~1
    return begin(x + w / 2, wide, scene.WIDTH), begin(y + h / 2, high, scene.HEIGHT), wide, high


def truth(film, index, box, size):
    """The same part of the frame as it was filmed, in colour and in the same size."""
    left, top, wide, high = window(box)
    whole = cv2.cvtColor(film.frame(index).reshape(scene.HEIGHT * 3 // 2, scene.WIDTH), cv2.COLOR_YUV2BGR_I420)
    return cv2.resize(whole[top : top + high, left : left + wide], size, interpolation=cv2.INTER_AREA)


def masks(box, size):
    """Pixels of a picture that are certainly covered, and those that certainly are not."""
    left, top, wide, high = window(box)
    x, y, w, h = box
    across, down = np.meshgrid(
        left + (np.arange(size[0]) + 0.5) * wide / size[0], top + (np.arange(size[1]) + 0.5) * high / size[1]
    )
    inside = (across > x) & (across < x + w) & (down > y) & (down < y + h)
    far_x = (across < x - MARGIN * w) | (across > x + w * (1 + MARGIN))
    far_y = (down < y - MARGIN * h) | (down > y + h * (1 + MARGIN))
    # The row of the number changes with each frame, and is no background.
    return inside, (far_x | far_y) & (down > scene.ROWS + 4)


def likeness(one, other, mask):
    """The correlation of two pictures' luma where the mask says so."""
    a, b = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float64)[mask] for picture in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(1e-9, np.sqrt((a * a).sum() * (b * b).sum())))


def kept(original, shown, mask):
    """How much of the original's detail is left: regression of the fine parts of both."""
    fine = lambda picture: (
        lambda luma: luma - cv2.GaussianBlur(luma, (0, 0), 2.0)
    )(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float64))
    was, now = fine(original)[mask], fine(shown)[mask]
    return float((was * now).sum() / max(1e-9, (was * was).sum()))


def faces(stack, picture):
    """The best score of a face in a picture that is shown four times as large."""
    large = cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    found = stack.judge.detector.detect(large)
    return max((one["score"] for one in found if one["class"] in FACES), default=0.0)


def pictured(stack, room):
    status, page = stack.call("GET", f"/censorship/events?room={room}&limit=200")
    check(status == 200, f"GET /censorship/events answered {status}: {page}")
    events = [one for one in page["events"] if one["hasThumbnail"]]
    return events if len(events) >= PICTURES else None


def overlaps(face, box):
    if face is None:
        return False
    wide = min(face[0] + face[2], box[0] + box[2]) - max(face[0], box[0])
    high = min(face[1] + face[3], box[1] + box[3]) - max(face[1], box[1])
    return wide > 0.6 * face[2] and high > 0.6 * face[3]


def test_thumbnails_are_covered(stack):
    """Pictures of detections: no face can be seen in them, and what is around it can"""
    film = stack.judge.film("face")
    with stack.stage("face", rules=WANTED) as stream:
        events, _ = wait("detections have pictures", 40, lambda: pictured(stack, stream.room))
        last = max(row.index or 0 for row in stream.viewer.received().rows)
        report, bare = [], 0
        for event in events[:PICTURES]:
            shown, box = thumbnail(stack, event), event["bbox"]
            size = (shown.shape[1], shown.shape[0])
            inside, around = masks(box, size)
            near = [index for index in range(last + 1) if overlaps(film.face(index), box)]
            check(near, f"no face was ever at {box}")
            compared = [(likeness(truth(film, index, box, size), shown, around), index) for index in near]
            like, index = max(compared)
            original = truth(film, index, box, size)
            left, score = kept(original, shown, inside), faces(stack, shown)
            check(like > SEEN, f"the surroundings of {box} are like no frame ({like:.2f})")
            check(left < COVERED, f"{left:.2f} of the face of frame {index} is in its picture")
            check(score < 0.25, f"a face is found in the picture of frame {index}: {score:.2f}")
            bare += faces(stack, original) >= 0.25
            report.append((like, left, kept(original, original, inside)))
        # Or nothing is shown by what was not found.
        check(bare >= PICTURES // 2, f"the detector finds {bare} of {PICTURES} faces that are not covered")
        status, problem = stack.call("GET", f"/censorship/events/{stream.id}/thumbnail")
        check((status, problem["type"].split(":")[-1]) == (404, "unknown-thumbnail"), f"{status} {problem}")
    worst, most = min(like for like, _, _ in report), max(left for _, left, _ in report)
    return [
        f"{len(report)} pictures: surroundings {worst:.2f} alike at least, {most:.2f} of a face's detail left at most; "
        f"the detector finds {bare} faces in the same parts uncovered, none in the pictures"
    ]


def test_no_thumbnails_unless_asked_for(stack):
    """Rules that say nothing of pictures: detections have none"""
    with stack.stage("face") as stream:
        wait("detections are kept", 30, lambda: len(stack.call("GET", f"/censorship/events?room={stream.room}")[1]["events"]) > 3)
        _, page = stack.call("GET", f"/censorship/events?room={stream.room}")
        check(not any(one["hasThumbnail"] for one in page["events"]), "a picture is kept")
        status, _ = stack.call("GET", f"/censorship/events/{page['events'][-1]['detectionId']}/thumbnail")
        check(status == 404, f"its picture answers {status}")
        return [f"{len(page['events'])} detections without a picture"]
