"""A LiveKit server and a Scrim of one's own, people in their rooms, and the end of it all."""

import base64
import contextlib
import ctypes
import hmac
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import urllib.error
import urllib.request

import numpy as np

import scene

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEY, SECRET = "devkey", "devsecret-devsecret-devsecret-32ch"
# A second key of the LiveKit server, for a Scrim outside development mode.
STRICT_KEY, STRICT_SECRET = "strictkey", "a-livekit-secret-for-the-strict-server"
JWT_SECRET = "a-jwt-secret-for-the-strict-server-0123"
RULES = {"classes": {name: {"threshold": 0.25, "action": "blur"} for name in ("FACE_FEMALE", "FACE_MALE")}}
# Short, so that a test of the breaker does not take a minute.
BREAKER_SECONDS = 2


class Failed(Exception):
    """A promise was not kept."""


def check(condition, message):
    """Fails the test with the message."""
    if not condition:
        raise Failed(message)


def wait(what, seconds, condition, pause=0.05):
    """Asks until the condition holds and returns its value and how long it took."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if value := condition():
            return value, time.monotonic() - begin
        time.sleep(pause)
    raise Failed(f"{what}: not within {seconds} s")


def _die_with_parent():
    """Nothing outlives the tests, not even when they are killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_ports(count):
    """Ports that nobody has at this moment, for TCP and UDP."""
    held, ports = [], []
    while len(ports) < count:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        held += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        with contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            ports.append(tcp.getsockname()[1])
    for one in held:
        one.close()
    return ports


def token(room, identity, publish=False):
    """A token made here, not by the server."""
    from livekit import api

    grants = api.VideoGrants(room_join=True, room=room, can_publish=publish)
    made = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants)
    return made.to_jwt()


class Process:
    """A child with its output in a file."""

    def __init__(self, name, command, log, env=None):
        self.name, self.log = name, log
        self.child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=open(log, "ab"), stderr=subprocess.STDOUT, preexec_fn=_die_with_parent,
        )
        self.pid = self.child.pid

    def running(self):
        return self.child.poll() is None

    def end(self, how=signal.SIGTERM, seconds=20):
        """Its exit code, and how long it took to end."""
        begin = time.monotonic()
        if self.running():
            self.child.send_signal(how)
        try:
            return self.child.wait(seconds), time.monotonic() - begin
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"{self.name} did not end within {seconds} s of signal {how}") from None

    def text(self):
        return self.log.read_text(errors="replace")


class Stack:
    """LiveKit and Scrim on ports of their own, in a directory of their own."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="scrim-e2e-"))
        self.fault_file = self.directory / "fault"
        self.struck = self.fault_file.with_suffix(".struck")
        self.http_port, self.livekit_port, tcp, udp = free_ports(4)
        self.http = f"http://127.0.0.1:{self.http_port}"
        self.url = f"ws://127.0.0.1:{self.livekit_port}"
        text = (ROOT / "config/livekit.yaml").read_text()
        values = {
            "HTTP_PORT": self.http_port, "LIVEKIT_PORT": self.livekit_port, "LIVEKIT_TCP_PORT": tcp,
            "LIVEKIT_UDP_PORT": udp, "DEV_KEY": KEY, "DEV_SECRET": SECRET,
        }
        for name, value in values.items():
            text = text.replace("${" + name + "}", str(value))
        text = text.replace(f"  {KEY}: {SECRET}\n", f"  {KEY}: {SECRET}\n  {STRICT_KEY}: {STRICT_SECRET}\n")
        (self.directory / "livekit.yaml").write_text(text)
        self.binary = os.environ.get("SCRIM_BINARY") or str(
            pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/scrim"
        )
        self.livekit = self.scrim = None
        self.actors, self.rooms = [], 0

    # ---- servers ----

    def start_livekit(self):
        command = [str(ROOT / ".scrim/tools/livekit-server"), "--config", str(self.directory / "livekit.yaml")]
        self.livekit = Process("livekit-server", command, self.directory / "livekit.log")
        wait("livekit-server answers", 30, lambda: self.answers(f"http://127.0.0.1:{self.livekit_port}"))

    def scrim_env(self, **more):
        return {
            "SCRIM__HTTP__LISTEN": f"127.0.0.1:{self.http_port}",
            # Whatever else the machine does: no stream of a test is refused for it.
            "SCRIM__LIMITS__MAX_CPU": "0",
            "SCRIM__DETECT__BREAKER_OPEN_S": str(BREAKER_SECONDS),
            "LIVEKIT_URL": self.url,
            # Each test run has a history of its own.
            "DATABASE_URL": f"sqlite:{self.directory / 'scrim.db'}",
            "SCRIM_TEST_DETECTOR_FAULT": str(self.fault_file),
            "RUST_BACKTRACE": "1",
            **more,
        }

    def launch_scrim(self, name="scrim", config="config/scrim.toml", dev=True, **env):
        command = [self.binary, "serve", "--config", str(config)] + ["--dev"] * dev
        return Process("scrim", command, self.directory / f"{name}.log", self.scrim_env(**env))

    def start_scrim(self, **env):
        self.scrim = self.launch_scrim(**env)
        wait("scrim is ready", 60, lambda: self.answers(self.http + "/health/ready"))

    @contextlib.contextmanager
    def strict(self, **env):
        """A second Scrim, outside development mode: tokens, keys, and no limit of requests."""
        server = Strict(self, env)
        try:
            server.start()
            yield server
        finally:
            server.end()

    def fault(self, text):
        """What the detector does from its next run on: "stall SECONDS", "fail", "panic", ""."""
        self.struck.unlink(missing_ok=True)
        self.fault_file.write_text(text)

    def strike(self, text):
        """The same, and waits for the run that it hits; when that began."""
        self.fault(text)
        wait(f"a run meets '{text}'", 10, self.struck.exists)
        return time.monotonic()

    @staticmethod
    def answers(url):
        try:
            return urllib.request.urlopen(url, timeout=2).status < 300
        except OSError:
            return False

    # ---- requests ----

    def call(self, method, route, body=None, headers=None, raw=None):
        """The status and the JSON of an answer."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.http + route, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                text, status = response.read(), response.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        try:
            return status, json.loads(text or b"null")
        except json.JSONDecodeError:
            return status, text.decode(errors="replace")

    def start_stream(self, rules=None, room=None):
        """A stream in a room that nobody has been in."""
        self.rooms += 1
        room = room or f"stage-{self.rooms}"
        status, answer = self.call("POST", "/stream/start", {"roomName": room, "rules": rules or RULES})
        check(status == 201, f"POST /stream/start answered {status}: {answer}")
        return types.SimpleNamespace(
            id=answer["streamId"], room=room, token=answer["token"], processed=answer["processedRoom"]
        )

    def end_stream(self, room):
        status, answer = self.call("POST", "/stream/end", {"roomName": room})
        check(status == 200, f"POST /stream/end answered {status}: {answer}")
        return answer

    def live(self, room):
        """The live stream of a room, or None."""
        _, page = self.call("GET", f"/streams?room={room}&limit=1")
        streams = page["streams"]
        return streams[0] if streams and streams[0]["state"] != "ended" else None

    def viewer_token(self, room, name):
        ask = {"roomName": room, "participantName": name, "role": "viewer"}
        status, answer = self.call("POST", "/token", ask)
        check(status == 200, f"POST /token answered {status}: {answer}")
        return answer["token"]

    # ---- people ----

    def broadcaster(self):
        return self._actor("broadcast")

    def viewer(self):
        return self._actor("watch")

    def _actor(self, role):
        directory = self.directory / f"{role}-{len(self.actors)}"
        directory.mkdir()
        self.actors.append(Actor(role, directory))
        return self.actors[-1]

    @contextlib.contextmanager
    def stage(self, film="face", codec="h264", simulcast=False, rules=None, key=None):
        """A stream, a viewer who waits, and a broadcaster who has begun."""
        viewer, broadcaster = self.viewer(), self.broadcaster()
        stream = self.start_stream(rules)
        stream.viewer, stream.broadcaster, stream.film = viewer, broadcaster, film
        viewer.ask("join", url=self.url, token=self.viewer_token(stream.room, "Vic"))
        broadcaster.ask(
            "join", url=self.url, token=stream.token, film=film, codec=codec, simulcast=simulcast, key=key
        )
        stream.showing = broadcaster.expect("showing", 10)["at"]
        try:
            yield stream
        finally:
            broadcaster.kill()
            viewer.kill()
            with contextlib.suppress(Exception):
                self.call("POST", "/stream/end", {"roomName": stream.room})
            for actor in (viewer, broadcaster):
                (actor.directory / "pictures.i420").unlink(missing_ok=True)

    # ---- the end ----

    def close(self, keep):
        """Ends everything; keeps the logs in the directory named, if one is."""
        for actor in self.actors:
            actor.kill()
        # LiveKit waits for everybody to leave when it is asked nicely.
        for process, how in ((self.scrim, signal.SIGTERM), (self.livekit, signal.SIGKILL)):
            if process and process.running():
                with contextlib.suppress(Failed):
                    process.end(how)
        if keep:
            shutil.rmtree(keep, ignore_errors=True)
            keep.mkdir(parents=True)
            for log in self.directory.glob("**/*.log"):
                shutil.copy(log, keep / "-".join(log.relative_to(self.directory).parts))
        shutil.rmtree(self.directory, ignore_errors=True)


class Strict:
    """A Scrim as operators run it; see Stack.strict."""

    def __init__(self, stack, env):
        self.stack, self.port = stack, free_ports(1)[0]
        self.http = f"http://127.0.0.1:{self.port}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="strict-", dir=stack.directory))
        self.process = None
        self.env = {
            "SCRIM__HTTP__LISTEN": f"127.0.0.1:{self.port}",
            "LIVEKIT_API_KEY": STRICT_KEY, "LIVEKIT_API_SECRET": STRICT_SECRET, "JWT_SECRET": JWT_SECRET,
            "SCRIM__ACCESS__FIRST_KEY_FILE": str(self.directory / "first-key"),
            "DATABASE_URL": f"sqlite:{self.directory / 'scrim.db'}",
            "SCRIM__LIMITS__REQUESTS": "0", "SCRIM__LIMITS__STRICT_REQUESTS": "0",
            **env,
        }

    def start(self):
        name = self.directory.name
        self.process = self.stack.launch_scrim(name=name, dev=False, **self.env)
        wait("the strict scrim is ready", 60, lambda: self.stack.answers(self.http + "/health/ready"))

    def end(self):
        if self.process and self.process.running():
            self.process.end()

    def call(self, method, route, body=None, token=None, headers=None, raw=None):
        """The status and the JSON of an answer, as the holder of a token or key."""
        headers = {**({"authorization": f"Bearer {token}"} if token else {}), **(headers or {})}
        return Stack.call(self, method, route, body, headers, raw)

    def run(self, *words):
        """The exit code and the output of another command of the same server."""
        command = [self.stack.binary, *words, "--config", "config/scrim.toml"]
        env = {**os.environ, **self.stack.scrim_env(**self.env)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


def api_token(role, sub="olga", seconds=600, secret=JWT_SECRET, **more):
    """A token of the API, made here."""
    return jwt({"alg": "HS256", "typ": "JWT"}, {
        "sub": sub, "role": role, "exp": int(time.time()) + seconds, **more,
    }, secret)


def jwt(header, claims, secret, digest="sha256"):
    """Any token, signed or (without a secret) not."""
    encode = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    head = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(secret.encode(), head.encode(), digest).digest() if secret else b""
    return f"{head}.{encode(signature)}"


class Actor:
    """A broadcaster or viewer process; see actor.py."""

    def __init__(self, role, directory):
        self.directory, self.events, self.kept = directory, queue.Queue(), []
        self.log = directory / "actor.log"
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / "actor.py"), role, str(directory)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=open(self.log, "ab"), preexec_fn=_die_with_parent, text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            if line.startswith("{"):
                self.events.put(json.loads(line))

    def tell(self, what, **values):
        """Gives a command without waiting; returns when."""
        self.child.stdin.write(json.dumps({"do": what, **values}) + "\n")
        self.child.stdin.flush()
        return time.monotonic()

    def expect(self, event, seconds, **values):
        """The next event of the name and values, earlier ones included; None for no such event."""
        end = time.monotonic() + seconds
        matches = lambda one: one["event"] == event and values.items() <= one.items()
        for at, one in enumerate(self.kept):
            if matches(one):
                return self.kept.pop(at)
        while (left := end - time.monotonic()) > 0:
            try:
                one = self.events.get(timeout=left)
            except queue.Empty:
                break
            if matches(one):
                return one
            if one["event"] == "refused" and event == "done":
                raise Failed(f"{one['what']} was refused: {one['why']}")
            self.kept.append(one)
        raise Failed(f"no {event} {values or ''} from the {self.directory.name} within {seconds} s")

    def ask(self, what, seconds=20, **values):
        """Gives a command and waits until it is done."""
        self.tell(what, **values)
        return self.expect("done", seconds, what=what)

    def signal(self, how):
        self.child.send_signal(how)

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def sent(self):
        """When each frame was captured, by number."""
        lines = (self.directory / "sent.txt").read_text().splitlines()
        pairs = (line.split() for line in lines if line.count(" ") == 1)
        return {int(index): float(at) for index, at in pairs}

    def received(self, camera=True):
        """Ends a viewer and reads what it got."""
        if self.child.poll() is None:
            self.ask("stop")
            self.child.wait()
        return Received(self.directory, camera)


class Received:
    """What a viewer got of one track, in order."""

    def __init__(self, directory, camera):
        with np.load(directory / "received.npz") as stored:
            rows, self.sound = stored["rows"], stored["sound"]
        self.rows = [
            types.SimpleNamespace(
                at=at, index=None if index < 0 else int(index), size=(int(w), int(h)), offset=int(offset)
            )
            for at, index, w, h, offset, source in rows
            if bool(source) == camera
        ]
        path = directory / "pictures.i420"
        self.bytes = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)

    def _flat(self, at):
        row = self.rows[at]
        width, height = row.size
        return self.bytes[row.offset : row.offset + width * height * 3 // 2], width, height

    def luma(self, at):
        """The luma as it came."""
        return scene.planes(*self._flat(at))[0]

    def full(self, at):
        """The whole picture at the scene's size, flat."""
        import cv2

        flat, width, height = self._flat(at)
        if (width, height) == (scene.WIDTH, scene.HEIGHT):
            return np.array(flat)
        whole = np.empty(scene.WIDTH * scene.HEIGHT * 3 // 2, np.uint8)
        for big, small in zip(scene.planes(whole), scene.planes(flat, width, height)):
            big[:] = cv2.resize(np.array(small), big.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return whole

    def numbered(self, since=0.0, until=float("inf")):
        """Rows whose number was read, received in that time."""
        return [row for row in self.rows if row.index is not None and since <= row.at < until]

    def latencies(self, sent):
        """Seconds from capture to the viewer's hands, by number."""
        return {row.index: row.at - sent[row.index] for row in self.numbered() if row.index in sent}

    def back_after(self, moment, lasting=5):
        """Seconds until numbered frames come again, `lasting` of them in a row; None if never."""
        run = []
        for row in self.rows:
            if row.at < moment:
                continue
            run = [*run, row] if row.index is not None else []
            if len(run) == lasting:
                return run[0].at - moment
        return None

    def beeps(self):
        """When beeps were heard to begin."""
        heard, quiet = [], True
        for at, level in self.sound:
            if level > 1500 and quiet:
                heard.append(at)
            quiet = level < 500 if not quiet else level <= 1500
        return heard
