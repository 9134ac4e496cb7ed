"""Who may do what, and what is said to those who may not or who are wrong."""

import asyncio
import base64
import hashlib
import json
import signal
import time

import harness
from harness import KEY, ROOT, SECRET, check, wait

# A server that refuses to start says so well within this.
START = 20


def test_encrypted_broadcaster(stack):
    """An end-to-end encrypted broadcaster is refused with a reason, and nothing is shown"""
    with stack.stage("face", key="a shared key") as stream:
        problems = lambda: stack.call("GET", f"/streams/{stream.id}")[1].get("problems")
        said, took = wait("a reason in GET /streams/{id}", 10, problems)
        check(any("encrypt" in problem for problem in said), f"the reason is not clear: {said}")
        time.sleep(3)
        received = stream.viewer.received()
        shown = sum(received.luma(at).std() > 6 for at in range(len(received.rows)))
        check(not shown, f"{shown} pictures of an encrypted stream were shown")
        loud = sum(level > 500 for _, level in received.sound)
        check(not loud, "the sound of an encrypted stream was heard")
        return [f"after {took:.2f} s: {said[0]}"]


def test_viewers_token(stack):
    """A viewer's token opens the processed room alone, and cannot publish there"""
    stream = stack.start_stream()
    token = stack.viewer_token(stream.room, "Vic")
    video = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["video"]
    check(video["room"] == stream.processed, f"the token is for {video['room']}")
    # Publishing in the processed room: LiveKit does not answer, so the SDK waits in vain.
    intruder = stack.broadcaster()
    intruder.tell("join", url=stack.url, token=token, film="clean", codec="vp8")
    inside = lambda: participants(stack, stream.processed).get("Vic")
    wait("the viewer is in the processed room", 10, lambda: inside() is not None)
    time.sleep(2)
    check(inside() == 0, f"a viewer's token published {inside()} tracks in the processed room")
    intruder.kill()
    # A viewer's token that names the raw room is not to be had.
    for room in (stream.room, stream.processed):
        again = stack.viewer_token(room, "Vic")
        video = json.loads(base64.urlsafe_b64decode(again.split(".")[1] + "=="))["video"]
        check(video["room"] == stream.processed, f"a viewer's token for {room} opens {video['room']}")
    ask = {"roomName": stream.processed, "participantName": "Eve", "role": "broadcaster"}
    status, answer = stack.call("POST", "/token", ask)
    check(status == 422, f"a broadcaster's token for the processed room: {status} {answer}")
    # An altered token opens nothing: the signature is over the room.
    header, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["video"]["room"] = stream.room
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    viewer = stack.viewer()
    try:
        viewer.ask("join", seconds=30, url=stack.url, token=f"{header}.{forged}.{signature}")
        raise AssertionError("a forged token was let into the raw room")
    except harness.Failed:
        pass
    viewer.kill()
    stack.end_stream(stream.room)


def participants(stack, room):
    """Identity to number of tracks, of a room."""
    from livekit import api

    async def ask():
        async with api.LiveKitAPI(stack.url.replace("ws", "http"), KEY, SECRET) as server:
            listed = await server.room.list_participants(api.ListParticipantsRequest(room=room))
            return {one.identity: len(one.tracks) for one in listed.participants}

    return asyncio.run(ask())


def test_room_names(stack):
    """Room names out of bounds, and what makes no sense, are refused with the field's name"""
    bad = [{"roomName": name} for name in ("ab", "a" * 51, "no/slash", "ä" * 5, "x-processed", "")]
    bad += [{}, {"roomName": "fine", "participantName": "scrim"}, {"roomName": "fine", "unknown": 1}]
    bad += [{"roomName": "fine", "rules": {"classes": {"NOSE": {"threshold": 0.5}}}}]
    bad += [{"roomName": "fine", "rules": {"padding": 7}}]
    for body in bad:
        status, answer = stack.call("POST", "/stream/start", body)
        check(400 <= status < 500 and answer.get("detail"), f"{body}: {status} {answer}")
    _, page = stack.call("GET", "/streams?room=fine")
    check(not page["streams"], "a refused start left a stream behind")


def signed(body, secret=SECRET, of=None, key=KEY):
    """LiveKit's signature: a token that holds the hash of the body."""
    import hmac

    encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    digest = base64.b64encode(hashlib.sha256(body if of is None else of).digest()).decode()
    now = int(time.time())
    claims = {"iss": key, "nbf": now - 5, "exp": now + 300, "sha256": digest}
    head = encode(b'{"alg":"HS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (head + b"." + encode(hmac.new(secret.encode(), head, hashlib.sha256).digest())).decode()


def delivery(event, room, number, sid="PA_x", track="TR_x"):
    """A webhook's body."""
    return json.dumps({
        "event": event, "id": f"EV_{number}", "createdAt": str(int(time.time())),
        "room": {"name": room, "sid": f"RM_{room}"},
        "participant": {"sid": sid, "identity": "broadcaster-x"},
        "track": {"sid": track, "type": "VIDEO", "source": "CAMERA"},
    }).encode()


def test_webhooks(stack):
    """Webhooks that are unsigned, altered or replayed change nothing"""
    room = "hook-room"
    body = delivery("track_published", room, 1)
    post = lambda headers, data=body: stack.call("POST", "/livekit/webhook", raw=data, headers=headers)
    kind = {"content-type": "application/webhook+json"}
    altered = delivery("track_published", "other-room", 1)
    refused = {
        "unsigned": post(kind),
        "nonsense": post({**kind, "authorization": "nonsense"}),
        "another secret": post({**kind, "authorization": signed(body, "x" * 32)}),
        "altered": post({**kind, "authorization": signed(altered, of=body)}, altered),
    }
    for what, (status, answer) in refused.items():
        check(status == 401, f"{what}: {status} {answer}")
    check(not stack.live(room) and not stack.live("other-room"), "a refused webhook started a stream")
    good = {**kind, "authorization": signed(body)}
    status, answer = post(good)
    check(status < 300, f"LiveKit's own: {status} {answer}")
    stream, _ = wait("the webhook starts a stream", 10, lambda: stack.live(room))
    stack.end_stream(room)
    for _ in range(3):
        status, answer = post(good)
        check(status < 300, f"replayed: {status} {answer}")
    time.sleep(1)
    check(not stack.live(room), "a replayed webhook started a stream")
    _, page = stack.call("GET", f"/streams?room={room}")
    check(len(page["streams"]) == 1, f"{len(page['streams'])} streams instead of one")
    check(page["streams"][0]["streamId"] == stream["streamId"], "another stream than the webhook's")


def refuses(stack, name, *words, **options):
    """Starts a server that must not start; its message must hold the words."""
    ports = harness.free_ports(1)
    options.setdefault("SCRIM__HTTP__LISTEN", f"127.0.0.1:{ports[0]}")
    process = stack.launch_scrim(name=name, **options)
    try:
        wait(f"{name}: ends", START, lambda: not process.running())
    finally:
        if process.running():
            process.end(signal.SIGKILL)
    said = [line for line in process.text().splitlines() if line.startswith("scrim: ")]
    text = process.text()[process.text().find("scrim: ") :].strip()
    code = process.child.returncode
    check(code == 1, f"{name}: exit code {code}: {text}")
    check(said, f"{name}: no message: {process.text()[-500:]}")
    check(all(word in text for word in words), f"{name}: {words} not in the message: {text}")
    check("panicked" not in process.text(), f"{name}: panicked: {process.text()[-500:]}")
    return f"{name}: {' '.join(text.split())[:150]}"


def test_bad_configuration(stack):
    """A configuration that cannot work stops the start with what to mend"""
    directory = stack.directory
    unknown, truncated, wrong = (directory / name for name in ("unknown.toml", "models", "wrong.toml"))
    unknown.write_text("[http]\nlisten_on = 1\n")
    wrong.write_text("[pipeline]\nprocessing_fps = 1000.0\n")
    truncated.mkdir(exist_ok=True)
    model = (ROOT / ".scrim/models/320n.onnx").read_bytes()
    (truncated / "320n.onnx").write_bytes(model[: len(model) // 2])
    empty = directory / "empty"
    empty.mkdir(exist_ok=True)
    taken = f"127.0.0.1:{stack.http_port}"
    return [
        refuses(stack, "unknown-key", "listen_on", config=unknown),
        refuses(stack, "out-of-bounds", "processing_fps", config=wrong),
        refuses(stack, "unknown-variable", "http.nope", SCRIM__HTTP__NOPE="1"),
        refuses(stack, "wrong-key", "livekit.api_secret", LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET="x" * 40),
        refuses(stack, "truncated-model", "320n.onnx", SCRIM__DETECT__MODELS_DIR=str(truncated)),
        refuses(stack, "missing-model", "320n.onnx", SCRIM__DETECT__MODELS_DIR=str(empty)),
        refuses(stack, "missing-runtime", "no.so", SCRIM__DETECT__ONNXRUNTIME=str(directory / "no.so")),
        refuses(stack, "port-taken", taken, SCRIM__HTTP__LISTEN=taken),
        refuses(stack, "no-secrets", "jwt_secret", dev=False),
    ]


def test_livekit_down_at_start(stack):
    """LiveKit down at the start: not ready and says why, starts nothing, and is ready once it is up"""
    stack.scrim.end()
    stack.livekit.end(signal.SIGKILL)
    stack.scrim = stack.launch_scrim()
    wait("scrim answers", START, lambda: stack.answers(stack.http + "/health/live"))
    status, _ = stack.call("GET", "/health/ready")
    check(status == 503, f"/health/ready answers {status} without LiveKit")
    status, health = stack.call("GET", "/health")
    check(status == 503 and health["livekit"]["state"] == "down", f"/health: {status} {health['livekit']}")
    said = health["livekit"]["error"]
    check(said, "/health does not say what is wrong with LiveKit")
    status, answer = stack.call("POST", "/stream/start", {"roomName": "too-early"})
    check(status in (502, 503), f"POST /stream/start without LiveKit: {status} {answer}")
    _, page = stack.call("GET", "/streams?room=too-early")
    check(not page["streams"], f"a start that failed left {page['streams']}")
    stack.start_livekit()
    _, took = wait("ready", 10, lambda: stack.answers(stack.http + "/health/ready"))
    stream = stack.start_stream(room="too-early")
    stack.end_stream(stream.room)
    return [
        f"it said: {said}",
        f"POST /stream/start: {status} {answer['detail']}",
        f"ready {took:.2f} s after LiveKit was",
    ]
