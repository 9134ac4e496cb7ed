"""Single pictures, and frames in sessions: what is found in them, what is covered, what is refused."""

import asyncio
import concurrent.futures
import io
import json
import pathlib
import struct
import time
import uuid
import zlib

import cv2
import numpy as np

from harness import api_token, check, wait

FACES = {"classes": {name: {"threshold": 0.3, "action": "solid"} for name in ("FACE_FEMALE", "FACE_MALE")}, "padding": 0.1}
# The face in scikit-image's astronaut: x, y, width, height.
FACE = (180, 70, 80, 100)
# How many more bytes the server may hold after pictures that try to make it hold many.
MEMORY = 300e6


def photo():
    """A photograph with one face, BGR."""
    from skimage import data

    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)


def encoded(picture, kind=".jpg", *settings):
    done, file = cv2.imencode(kind, picture, settings)
    check(done, f"cv2 cannot write {kind}")
    return file.tobytes()


def form(**fields):
    """A multipart body and its type."""
    boundary = uuid.uuid4().hex
    parts = []
    for name, value in fields.items():
        file = '; filename="p"' if name == "picture" else ""
        value = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), {"content-type": f"multipart/form-data; boundary={boundary}"}


def send(stack, route, raw, kind="image/jpeg", **headers):
    return stack.call("POST", route, raw=raw, headers={"content-type": kind, **headers})


def look(stack, file, rules=FACES, route="/process/frame"):
    """The report on a picture under rules that cover faces."""
    body, headers = form(picture=file, rules=rules)
    status, answer = stack.call("POST", route, raw=body, headers=headers)
    check(status == 200, f"{status} {answer}")
    return answer


def picture(stack, file, accept, rules=FACES):
    """The censored picture as it comes: its type and its pixels."""
    import urllib.request

    body, headers = form(picture=file, rules=rules)
    request = urllib.request.Request(stack.http + "/process/frame", body, {**headers, "accept": accept}, method="POST")
    with urllib.request.urlopen(request, timeout=20) as response:
        data, kind = response.read(), response.headers["content-type"]
    return kind, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def overlap(box, other):
    """Intersection over union of x, y, width, height."""
    (a, b, c, d), (e, f, g, h) = box, other
    width, height = min(a + c, e + g) - max(a, e), min(b + d, f + h) - max(b, f)
    common = max(width, 0) * max(height, 0)
    return common / (c * d + g * h - common)


def faces(report):
    boxes = [one["box"] for one in report["covered"] if one["label"].startswith("FACE")]
    return [(box["x"], box["y"], box["width"], box["height"]) for box in boxes]


def test_pictures_of_all_kinds(stack):
    """A face is found and covered in JPEG, PNG and WebP of all kinds, upright, and nothing else changes"""
    from PIL import Image

    whole = photo()
    plain = faces(look(stack, encoded(whole, ".png")))
    check(len(plain) == 1 and overlap(plain[0], FACE) > 0.3, f"the face is at {plain}")
    image = Image.fromarray(cv2.cvtColor(whole, cv2.COLOR_BGR2RGB))

    def saved(picture, kind, **options):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = image.copy()
    alpha.putalpha(255)
    kinds = {
        "JPEG": encoded(whole), "progressive JPEG": saved(image, "JPEG", progressive=True), "CMYK": saved(image.convert("CMYK"), "JPEG"),
        "WebP": encoded(whole, ".webp", cv2.IMWRITE_WEBP_QUALITY, 90), "lossless WebP": saved(image, "WEBP", lossless=True),
        "16 bit PNG": encoded(whole.astype(np.uint16) * 257, ".png"), "palette": saved(image.quantize(256), "PNG"),
        "alpha": saved(alpha, "PNG"), "grey": encoded(cv2.cvtColor(whole, cv2.COLOR_BGR2GRAY)),
        "EXIF turned": saved(image.transpose(Image.ROTATE_90), "JPEG", exif=turned),
    }
    for what, file in kinds.items():
        report = look(stack, file)
        check((report["width"], report["height"]) == (512, 512), f"{what}: {report['width']}x{report['height']}")
        found = faces(report)
        check(len(found) == 1 and overlap(found[0], plain[0]) > 0.7, f"{what}: {found}, not {plain}")
    wide = whole[:320]
    report = look(stack, saved(Image.fromarray(cv2.cvtColor(wide, cv2.COLOR_BGR2RGB)).transpose(Image.ROTATE_90), "JPEG", exif=turned))
    check((report["width"], report["height"]) == (512, 320), f"turned: {report['width']}x{report['height']}")
    check(overlap(faces(report)[0], plain[0]) > 0.6, f"turned: {faces(report)}")
    x, y, w, h = (int(value) for value in plain[0])
    for accept, expected in (("image/*", "image/jpeg"), ("image/png", "image/png")):
        kind, censored = picture(stack, encoded(whole, ".png"), accept)
        check(kind == expected and censored.shape == whole.shape, f"{accept}: {kind} {censored.shape}")
        inside = censored[y + 4 : y + h - 4, x + 4 : x + w - 4]
        check(inside.std() < 3, f"{accept}: the face is not covered, deviation {inside.std():.1f}")
        outside = np.abs(censored[300:].astype(int) - whole[300:].astype(int)).mean()
        check(outside < 6, f"{accept}: the rest changed by {outside:.1f}")
    hidden = np.dstack([whole, np.zeros(whole.shape[:2], np.uint8)])
    report = look(stack, encoded(hidden, ".png"))
    kind, censored = picture(stack, encoded(hidden, ".png"), "image/png")
    check(not report["covered"] and censored.min() > 250, "what is transparent is not white in the answer")
    return [f"{len(kinds) + 1} kinds"]


def test_rules_on_trial(stack):
    """POST /censorship/rules/check says what would be covered and why, and changes nothing"""
    route = "/censorship/rules/check"
    before = stack.call("GET", "/censorship/rules"), stack.call("GET", "/audit")
    text = {"text": {"enabled": True, "words": ["secret"], "allow": ["secret garden"]}}
    status, answer = stack.call("POST", route, {"text": "A s3cret\nin the secret garden", "rules": text})
    check(status == 200, f"{status} {answer}")
    [hit] = answer["text"]
    check((hit["word"], hit["entry"], hit["start"], hit["end"]) == ("s3cret", "secret", 2, 8), hit)
    check([one["reason"] for one in answer["passed"]] == ["allowed"], answer["passed"])
    _, answer = stack.call("POST", route, {"text": "a secret", "rules": {"text": {"words": ["secret"]}}})
    check(not answer["text"] and answer["passed"][0]["reason"] == "textOff", answer)
    whole = photo()
    report = look(stack, encoded(whole), {"classes": {"FACE_FEMALE": {"threshold": 0.99}}, "padding": 0.1}, route)
    why = {one["label"]: one["reason"] for one in report["passed"]}
    check(not report["covered"] and why.get("FACE_FEMALE") == "belowThreshold", report)
    report = look(stack, encoded(whole), {"classes": {"FEET_EXPOSED": {}}}, route)
    check({one["label"]: one["reason"] for one in report["passed"]}.get("FACE_FEMALE") == "allowed", report)
    screen = np.full((720, 1280, 3), 245, np.uint8)
    for at, line in enumerate(("welcome to the show", "this is a damn secret", "in the secret garden")):
        cv2.putText(screen, line, (80, 160 + 180 * at), cv2.FONT_HERSHEY_DUPLEX, 2.4, (30, 30, 30), 4, cv2.LINE_AA)
    body, headers = form(picture=encoded(screen), text="a damn fine text", rules={"text": {"enabled": True, "words": ["secret"], "allow": ["secret garden"]}})
    status, report = stack.call("POST", route, raw=body, headers=headers)
    check(status == 200, f"{status} {report}")
    covered = {one["entry"]: one for one in report["covered"] if one["kind"] == "text" and "entry" in one}
    check(set(covered) == {"damn", "secret"}, report["covered"])
    check(220 < covered["damn"]["box"]["y"] + covered["damn"]["box"]["height"] / 2 < 420, covered["damn"])
    check([one["word"] for one in report["text"]] == ["damn"], report["text"])
    check(any(one["reason"] == "allowed" and "box" in one for one in report["passed"]), report["passed"])
    wrong = {
        "no such class": {"rules": {"classes": {"NOSE": {}}}, "text": "x"}, "unknown key": {"text": "x", "more": 1},
        "no room": {"text": "x", "roomName": "a b"}, "padding": {"text": "x", "rules": {"padding": 7}},
    }
    for what, ask in wrong.items():
        status, answer = stack.call("POST", route, ask)
        check(status == 422 and answer["errors"], f"{what}: {status} {answer}")
    for what, fields in {"nothing": {}, "unknown field": {"text": "x", "odd": "1"}}.items():
        body, headers = form(**fields)
        status, answer = stack.call("POST", route, raw=body, headers=headers)
        check(status == (400 if what == "nothing" else 422) or status == 422, f"{what}: {status} {answer}")
    check((stack.call("GET", "/censorship/rules"), stack.call("GET", "/audit")) == before, "something changed")
    with stack.strict() as server:
        for role, expected in (("viewer", 403), ("service", 200), (None, 401)):
            status, answer = server.call("POST", route, {"text": "x"}, api_token(role) if role else None)
            check(status == expected, f"{role}: {status} {answer}")
    return [f"covered words: {sorted(covered)}"]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, depth=8, colour=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*one) for one in chunks) + chunk(b"IEND", b"")


def resident(stack):
    status = pathlib.Path(f"/proc/{stack.scrim.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_picture_bombs(stack):
    """Pictures that are too large, packed to burst, animated or cut off are refused, and cost no memory"""
    from PIL import Image

    zeros = zlib.compress(bytes(100_000_000), 9)
    small = np.zeros((40, 60, 3), np.uint8)
    frames = [Image.fromarray(np.full((40, 60, 3), value, np.uint8)) for value in (0, 255)]
    webp, apng = io.BytesIO(), io.BytesIO()
    frames[0].save(webp, "WEBP", save_all=True, append_images=frames[1:])
    frames[0].save(apng, "PNG", save_all=True, append_images=frames[1:])
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    whole = {kind: encoded(noise, kind) for kind in (".jpg", ".png", ".webp")}
    jpeg = bytearray(encoded(small))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    bombs = {
        "10,000 a side, 100 MB of zeros": (png(10_000, 10_000, (b"IDAT", zeros)), (422,)),
        "2^31 a side": (png(2**31 - 1, 2**31 - 1, (b"IDAT", zeros)), (422,)),
        "0 a side": (png(0, 5, (b"IDAT", zlib.compress(b"x"))), (422,)),
        "one pixel, 100 MB of zeros": (png(1, 1, (b"IDAT", zeros)), (200, 422)),
        "100 MB of zeros in a text": (png(1, 1, (b"zTXt", b"a\0\0" + zeros), (b"IDAT", zlib.compress(b"\0\0"))), (200, 422)),
        "100 MB of zeros as a profile": (png(1, 1, (b"iCCP", b"a\0\0" + zeros), (b"IDAT", zlib.compress(b"\0\0"))), (200, 422)),
        "4,096 a side, 16 bit, 4 channels": (png(4096, 4096, (b"IDAT", zlib.compress(bytes(4096 * (4096 * 8 + 1)), 9)), depth=16, colour=6), (200,)),
        "60,000 a side in a JPEG": (bytes(jpeg), (422,)),
        "animated WebP": (webp.getvalue(), (422,)), "animated PNG": (apng.getvalue(), (422,)),
        "GIF": (b"GIF89a" + bytes(100), (415,)), "text": (b"<svg/>" * 20, (415,)), "nothing": (b"", (415,)),
        "11 MB": (b"\xff\xd8\xff" + bytes(11_000_000), (413,)),
        "10.1 MB": (b"\xff\xd8\xff" + bytes(10_490_000), (413,)),
        **{f"{kind} cut off": (file[: len(file) * 2 // 3], (422,)) for kind, file in whole.items()},
        **{f"{kind} head alone": (file[:20], (422,)) for kind, file in whole.items()},
        **{f"{kind} of noise": (file[:40] + bytes(noise[0].flat) * 3, (422,)) for kind, file in whole.items()},
    }
    check(look(stack, encoded(small))["covered"] == [], "warm")
    before, slowest = resident(stack), 0
    for what, (file, allowed) in bombs.items():
        for route in ("/process/frame", "/censorship/rules/check"):
            began = time.monotonic()
            try:
                status, answer = send(stack, route, file, "application/octet-stream")
            except OSError:
                # Refused while it was still being sent.
                status, answer = 413, {"detail": "closed", "type": "too-large"}
            slowest = max(slowest, time.monotonic() - began)
            check(status in allowed, f"{what}: {status} {answer}")
            check(status == 200 or answer["detail"], f"{what}: {answer}")
    grown = resident(stack) - before
    check(grown < MEMORY, f"{grown / 1e6:.0f} MB more than before")
    check("panicked" not in stack.scrim.text(), "something panicked")
    check(slowest < 10, f"one took {slowest:.1f} s")
    status, answer = send(stack, "/process/frame", b"{}", "text/plain")
    check(status == 415, f"text/plain: {status} {answer}")
    return [f"{len(bombs)} bombs on two routes; {grown / 1e6:.0f} MB; the slowest took {slowest:.1f} s"]


def test_slow_detector_and_pictures(stack):
    """A detector that does not answer is 504 after 2 s, and more pictures than may be are 503 at once"""
    file = encoded(photo())
    look(stack, file)
    stack.fault("stall 30")
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            def one(_):
                began = time.monotonic()
                status, answer = send(stack, "/process/frame", file)
                return status, answer["type"].split(":")[-1], time.monotonic() - began

            answers = list(pool.map(one, range(6)))
    finally:
        stack.fault("")
    busy = [took for status, kind, took in answers if (status, kind) == (503, "busy")]
    late = [took for status, kind, took in answers if (status, kind) == (504, "timeout")]
    check(len(busy) + len(late) == 6 and 1 <= len(late) <= 3, answers)
    check(all(1.5 < took < 6 for took in late), answers)
    wait("pictures are looked at again", 60, lambda: send(stack, "/process/frame", file)[0] == 200, pause=0.5)
    return [f"{len(late)} late after {max(late):.1f} s, {len(busy)} refused after {max(busy, default=0):.2f} s"]


def run(work):
    """Runs asynchronous work, at most for a minute."""
    return asyncio.run(asyncio.wait_for(work, 90))


def test_frames_one_by_one(stack):
    """/ws/stream answers each frame by its verdict and the censored JPEG; of a flood the oldest are given up, aloud"""
    import aiohttp

    file = encoded(photo())

    async def session():
        stack.call("PUT", "/censorship/rules/frames-1", FACES)
        async with aiohttp.ClientSession() as client:
            url = f"{stack.http}/ws/stream/cam-1?roomName=frames-1"
            async with client.ws_connect(url, max_msg_size=0, autoping=False) as socket:
                async def heard(seconds=15):
                    while (message := await socket.receive(timeout=seconds)).type == aiohttp.WSMsgType.PING:
                        await socket.pong(message.data)
                    return message

                await socket.send_bytes(file)
                verdict = json.loads((await heard()).data)
                check(verdict["frameId"] == 1 and len(faces(verdict)) == 1, verdict)
                x, y, w, h = (int(value) for value in faces(verdict)[0])
                shown = cv2.imdecode(np.frombuffer((await heard()).data, np.uint8), cv2.IMREAD_COLOR)
                check(shown[y + 4 : y + h - 4, x + 4 : x + w - 4].std() < 4, "the face is not covered")
                await socket.send_bytes(b"no picture")
                wrong = json.loads((await heard()).data)
                check(wrong["frameId"] == 2 and wrong["error"]["type"] == "invalid-picture", wrong)
                await socket.send_str("hello")
                check(json.loads((await heard()).data)["error"]["type"] == "not-binary", "text was taken")
                status, problem = await asyncio.to_thread(stack.call, "GET", "/streaming/stats")
                check(status == 200 and problem["sessions"][0]["sessionId"] == "cam-1", problem)
                for _ in range(40):
                    await socket.send_bytes(file)
                verdicts, dropped = [], []
                while len(verdicts) + len(dropped) < 40:
                    message = await heard(60)
                    if message.type == aiohttp.WSMsgType.TEXT:
                        one = json.loads(message.data)
                        check("error" not in one, one)
                        (dropped if one.get("dropped") else verdicts).append(one["frameId"])
                await heard()
                check(sorted(verdicts + dropped) == list(range(3, 43)), (verdicts, dropped))
                check(verdicts == sorted(verdicts) and 42 in verdicts, verdicts)
                began = time.monotonic()
                message = await socket.receive(timeout=15)
                check(message.type == aiohttp.WSMsgType.PING, message)
                silence = time.monotonic() - began
                check(4 < silence < 7, f"a ping after {silence:.1f} s")
                taken = await client.get(url, headers=UPGRADE)
                check(taken.status == 409, f"the same name twice: {taken.status}")
            return len(verdicts), len(dropped)

    seen, dropped = run(session())
    wait("the session is closed", 5, lambda: not stack.call("GET", "/streaming/stats")[1]["sessions"])
    return [f"of 40 frames at once {seen} were answered and {dropped} given up"]


UPGRADE = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_who_may_open_a_socket(stack):
    """Sockets ask for a token and an origin as every route does, and there are so many and no more"""
    import aiohttp

    async def tries(server):
        good = api_token("service")
        bearer = lambda token: {"authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as client:
            for path in ("/ws/stream/cam-1", "/stream"):
                url = server.http + path
                for what, headers, expected in (
                    ("no token", {}, 401), ("a viewer", bearer(api_token("viewer")), 403), ("forged", bearer(good + "x"), 401),
                    ("another origin", {**bearer(good), "origin": "https://evil.example"}, 403),
                    ("no socket", None, 426),
                ):
                    sent = bearer(good) if headers is None else {**UPGRADE, **headers}
                    answer = await client.get(url, headers=sent)
                    check(answer.status == expected, f"{path}, {what}: {answer.status}")
                own = {"origin": server.http}
                async with client.ws_connect(url, headers=own, protocols=("scrim", f"bearer.{good}")) as socket:
                    check(socket.protocol == "scrim", f"{path}: {socket.protocol}")
            open_now = [await client.ws_connect(f"{server.http}/ws/stream/n{n}", headers=bearer(good)) for n in range(3)]
            full = await client.get(server.http + "/stream", headers={**UPGRADE, **bearer(good)})
            check(full.status == 503 and full.headers["retry-after"], f"a fourth session: {full.status}")
            for socket in open_now:
                await socket.close()

    with stack.strict(SCRIM__FRAMES__MAX_SESSIONS="3") as server:
        run(tries(server))
    with stack.strict(SCRIM__FRAMES__MAX_SESSIONS="0") as server:
        async def off():
            async with aiohttp.ClientSession() as client:
                answer = await client.get(server.http + "/stream", headers={**UPGRADE, "authorization": f"Bearer {api_token('operator')}"})
                return answer.status, await answer.json(content_type=None)

        status, answer = run(off())
        check(status == 404 and answer["type"].endswith("switched-off"), f"{status} {answer}")
        status, answer = server.call("GET", "/streaming/stats", token=api_token("operator"))
        check(status == 200 and answer["maxSessions"] == 0, answer)


def test_frames_to_a_film(stack):
    """/stream makes a censored video and a report of frames that come in any order, twice, or not at all"""
    import aiohttp

    whole = photo()
    frame = lambda n: np.ascontiguousarray(np.roll(whole, 4 * n, axis=1))
    rows = {}

    async def session():
        async with aiohttp.ClientSession() as client, client.ws_connect(stack.http + "/stream", max_msg_size=0) as socket:
            async def ask(header, data=None):
                await socket.send_str(json.dumps(header))
                if data is not None:
                    await socket.send_bytes(data)
                return json.loads((await socket.receive(timeout=20)).data)

            check((await ask({"type": "SESSION_END"}))["code"] == "unexpected", "an end without a start")
            wrong = await ask({"type": "SESSION_START", "rules": {"padding": 9}})
            check(wrong["code"] == "invalid-rules" and "padding" in wrong["detail"], wrong)
            started = await ask({"type": "SESSION_START", "fps": 10, "rules": FACES})
            check(started["type"] == "session_started", started)
            # 5 and 6 are missing, 2 comes twice, 7 is no picture, and they come out of order.
            for n in (3, 0, 2, 1, 2, 4, 8, 7, 9):
                format, data = ("png", encoded(frame(n), ".png")) if n == 1 else ("jpeg", encoded(frame(n)))
                more = {}
                if n == 4:
                    format, data = "raw", cv2.cvtColor(frame(n), cv2.COLOR_BGR2RGB).tobytes()
                    more = {"width": 512, "height": 512}
                data = b"no picture" if n == 7 else data
                ack = await ask({"type": "FRAME", "frame": n, "format": format, **more}, data)
                check(ack["type"] == "FRAME_ACK" and ack["frame"] == n, ack)
                rows[n] = rows.get(n, 0) + 1
                check(ack.get("duplicate", False) == (rows[n] > 1), ack)
            side = await ask({"type": "SIGNAL", "name": "sound.wav"}, b"RIFF")
            check(side["type"] == "SIGNAL_ACK" and side["bytes"] == 4, side)
            ended = await ask({"type": "SESSION_END"})
            check((ended["frames"], ended["missing"], ended["gaps"], ended["duplicates"]) == (8, 2, [[5, 6]], 1), ended)
            kinds = []
            while True:
                message = json.loads((await socket.receive(timeout=60)).data)
                kinds.append(message["type"])
                check(message["type"] != "error", message)
                if message["type"] == "process_complete":
                    break
            check(kinds[0] == "process_start" and "process_progress" in kinds, kinds)
            about = message["result"]["video"]
            video = b"".join([(await socket.receive(timeout=20)).data for _ in range(about["messages"])])
            check(len(video) == about["bytes"] and about["mediaType"] == "video/mp4", about)
            # The connection is good for another.
            check((await ask({"type": "SESSION_START"}))["type"] == "session_started", "no second session")
            return message["result"]["report"], video

    report, video = run(session())
    check((report["frames"], report["failedFrames"], report["width"]) == (8, 1, 512), report)
    check(report["coveredFrames"] == 7 and report["files"][0]["name"] == "sound.wav", report)
    check([one["frame"] for one in report["results"] if "error" in one] == [7], report["results"])
    path = stack.directory / "film.mp4"
    path.write_bytes(video)
    reader = cv2.VideoCapture(str(path))
    times, shown = [], []
    while True:
        good, one = reader.read()
        if not good:
            break
        times.append(round(reader.get(cv2.CAP_PROP_POS_MSEC)))
        shown.append(one)
    check(len(shown) == 8, f"{len(shown)} pictures in the video, at {times}")
    boxes = {one["frame"]: faces(one) for one in report["results"] if "covered" in one}
    for n, one in zip((0, 1, 2, 3, 4, 7, 8, 9), shown):
        if n == 7:
            check(one.std() < 4, "a frame that is no picture is not covered whole")
            continue
        x, y, w, h = (int(value) for value in boxes[n][0])
        inside = one[y + 6 : y + h - 6, x + 6 : x + w - 6]
        check(inside.std() < 8, f"frame {n}: the face is not covered, deviation {inside.std():.1f}")
        outside = np.abs(one[300:].astype(int) - frame(n)[300:].astype(int)).mean()
        check(outside < 12, f"frame {n}: the rest changed by {outside:.1f}")
    wait("the memory is given back", 5, lambda: stack.call("GET", "/streaming/stats")[1]["memoryBytes"] == 0)
    return [f"{len(video) // 1000} kB, pictures at {times} ms"]


def test_memory_of_frames(stack):
    """Frames past the memory of all sessions are refused aloud, and the memory comes back"""
    import aiohttp

    async def session(server):
        good = {"authorization": f"Bearer {api_token('operator')}"}
        async with aiohttp.ClientSession(headers=good) as client, client.ws_connect(server.http + "/stream") as socket:
            await socket.send_str(json.dumps({"type": "SESSION_START"}))
            await socket.receive(timeout=10)
            answers = []
            for n in range(5):
                await socket.send_str(json.dumps({"type": "FRAME", "frame": n, "format": "jpeg"}))
                await socket.send_bytes(bytes(300_000))
                answers.append(json.loads((await socket.receive(timeout=10)).data))
            check([one["type"] for one in answers] == ["FRAME_ACK"] * 3 + ["error"] * 2, answers)
            check(answers[-1]["code"] == "memory", answers[-1])

    with stack.strict(SCRIM__FRAMES__MAX_MEMORY_MB="1") as server:
        run(session(server))
        stats = lambda: server.call("GET", "/streaming/stats", token=api_token("operator"))[1]
        wait("the memory is given back", 5, lambda: stats()["memoryBytes"] == 0 and stats()["active"] == 0)
        frames = stats()["frames"]
        check((frames["received"], frames["dropped"]) == (5, 2), frames)
