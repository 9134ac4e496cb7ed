"""What an attacker would try, against a server as operators run it. docs/SECURITY.md has the table."""

import contextlib
import http.client
import json
import pathlib
import re
import resource
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import harness
from harness import JWT_SECRET, STRICT_KEY, STRICT_SECRET, api_token, check, jwt, wait
from test_access import delivery, signed


def operations(server):
    """Method, path with made-up names, and operation of everything that is described."""
    _, description = server.call("GET", "/openapi.json")
    for path, item in description["paths"].items():
        concrete = path.replace("{id}", "0198c0de-7a11-7bcd-8abc-0123456789ab")
        concrete = concrete.replace("{room}", "some-room").replace("{roomName}", "some-room")
        concrete = concrete.replace("{key}", "0123456789abcdef")
        concrete = concrete.replace("{class}", "FACE_FEMALE").replace("{deadLetter}", "1")
        for method, operation in item.items():
            yield method.upper(), concrete, operation


def test_forged_tokens(stack):
    """Forged, expired and altered tokens open nothing, whatever they are tried on"""
    claims = lambda **more: {"sub": "eve", "role": "operator", "exp": int(time.time()) + 600, **more}
    hs256 = {"alg": "HS256", "typ": "JWT"}
    good = api_token("operator")
    head, body, tail = good.split(".")
    forged = {
        "no token": "",
        "not a token": "x",
        "another secret": jwt(hs256, claims(), "x" * 40),
        "the empty secret": jwt(hs256, claims(), ""),
        "LiveKit's secret": jwt(hs256, claims(), STRICT_SECRET),
        "a LiveKit token": harness.token("stage", "eve"),
        "expired": api_token("operator", seconds=-60),
        "without exp": jwt(hs256, {"sub": "eve", "role": "operator"}, JWT_SECRET),
        "not before tomorrow": jwt(hs256, claims(nbf=int(time.time()) + 86400), JWT_SECRET),
        "without sub": jwt(hs256, {"role": "operator", "exp": int(time.time()) + 600}, JWT_SECRET),
        "without role": jwt(hs256, {"sub": "eve", "exp": int(time.time()) + 600}, JWT_SECRET),
        "an unknown role": api_token("king"),
        "two roles": jwt(hs256, claims(role=["viewer", "operator"]), JWT_SECRET),
        "alg none": jwt({"alg": "none"}, claims(), ""),
        "alg none, signature kept": f"{jwt({'alg': 'none'}, claims(), '').split('.')[0]}.{body}.{tail}",
        "alg HS512": jwt({"alg": "HS512"}, claims(), JWT_SECRET, "sha512"),
        "alg RS256": jwt({"alg": "RS256"}, claims(), JWT_SECRET),
        "altered claims": f"{head}.{jwt(hs256, claims(), 'x').split('.')[1]}.{tail}",
        "no signature": f"{head}.{body}.",
        "a key that is none": f"scrim_{'0' * 16}_{'0' * 64}",
        "the first key's id": f"scrim_0000000000000001_{'0' * 64}",
        "an id with SQL": "scrim_' or '1'='1_" + "0" * 64,
    }
    with stack.strict() as server:
        tried = 0
        for method, path, operation in operations(server):
            if operation["security"] != [{"bearer": []}]:
                continue
            for what, token in forged.items():
                # Every forgery on one route, two of them on all.
                if path != "/streams" and what not in ("no token", "alg none"):
                    continue
                status, answer = server.call(method, path, {} if method in ("POST", "PUT") else None, token)
                check(status == 401, f"{what} on {method} {path}: {status} {answer}")
                check(len(token) < 10 or token not in json.dumps(answer), f"{what}: the answer repeats the token")
                tried += 1
        status, _ = server.call("GET", "/streams", token=good)
        check(status == 200, f"a good token: {status}")
    return [f"{len(forged)} forgeries, {tried} calls, all 401"]


def test_roles(stack):
    """Each role may do what the description says and nothing else"""
    with stack.strict() as server:
        tried = 0
        for method, path, operation in operations(server):
            if operation["security"] != [{"bearer": []}] or path == "/token":
                continue
            body = {} if method in ("POST", "PUT") else None
            for role in ("viewer", "service"):
                if path == "/events" and role == "service":
                    continue  # its answer never ends
                status, answer = server.call(method, path, body, api_token(role))
                admin = role == "service" and path.startswith("/keys")
                allowed = role == "service" and not admin
                check((status != 403) == allowed, f"{role} on {method} {path}: {status} {answer}")
                tried += 1
        ask = {"roomName": "stage", "participantName": "Eve", "role": "broadcaster"}
        status, _ = server.call("POST", "/token", ask, api_token("viewer"))
        check(status == 403, f"a viewer asks for a broadcaster's token: {status}")
    return [f"{tried} calls"]


def test_viewer_at_livekit(stack):
    """With a viewer's or a broadcaster's token LiveKit's own services refuse everything in the raw room"""
    room = "guarded-stage"
    with stack.strict() as server:
        operator = api_token("operator")
        status, stream = server.call("POST", "/stream/start", {"roomName": room}, operator)
        check(status == 201, f"start: {status} {stream}")
        ask = {"roomName": room, "participantName": "Vic", "role": "viewer"}
        status, viewer = server.call("POST", "/token", ask, api_token("viewer"))
        check(status == 200 and viewer["roomName"] == f"{room}-processed", f"token: {status} {viewer}")
        calls = {
            "RoomService/ListParticipants": {"room": room},
            "RoomService/ListRooms": {},
            "RoomService/DeleteRoom": {"room": room},
            "RoomService/RemoveParticipant": {"room": room, "identity": "scrim"},
            "RoomService/UpdateSubscriptions": {"room": room, "identity": "Vic", "track_sids": ["TR_1"], "subscribe": True},
            "RoomService/UpdateParticipant": {"room": room, "identity": "Vic", "permission": {"can_publish": True}},
            "RoomService/MoveParticipant": {"room": f"{room}-processed", "identity": "Vic", "destination_room": room},
            "RoomService/ForwardParticipant": {"room": room, "identity": "scrim", "destination_room": f"{room}-processed"},
            "RoomService/SendData": {"room": f"{room}-processed", "data": "eA==", "kind": "RELIABLE"},
            "AgentDispatchService/CreateDispatch": {"room": room, "agent_name": "x"},
        }
        base = stack.url.replace("ws", "http")
        for who, token in (("viewer", viewer["token"]), ("broadcaster", stream["token"])):
            for name, body in calls.items():
                status = post(f"{base}/twirp/livekit.{name}", body, token)
                check(status in (401, 403), f"LiveKit lets a {who} do {name}: {status}")
        spellings = [room, f"{room}-processed"]
        for spelling in spellings:
            status, answer = server.call("POST", "/token", {**ask, "roomName": spelling}, api_token("viewer"))
            check(answer["roomName"] == f"{room}-processed", f"{spelling}: {answer}")
        for spelling in (f"{room}-processed-processed", f"{room}\x00", f"../{room}", f"{room}%00", room + " "):
            status, answer = server.call("POST", "/token", {**ask, "roomName": spelling}, api_token("viewer"))
            check(status == 422, f"{spelling!r}: {status} {answer}")
        server.call("POST", "/stream/end", {"roomName": room}, operator)
    return [f"{2 * len(calls)} calls of LiveKit's services refused"]


def post(url, body, token):
    """The status of a call elsewhere."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_keys(stack):
    """The first key is in a file for its owner alone; keys are made, revoked at once, and never shown again"""
    with stack.strict() as server:
        file = server.directory / "first-key"
        check(file.stat().st_mode & 0o777 == 0o600, f"mode {oct(file.stat().st_mode)}")
        first = file.read_text().strip()
        check(first not in server.process.text(), "the first key is in the log")
        status, made = server.call("POST", "/keys", {"name": "studio 2", "role": "service"}, first)
        check(status == 201, f"{status} {made}")
        key = made["key"]
        status, _ = server.call("GET", "/streams", token=key)
        check(status == 200, f"the new key: {status}")
        status, _ = server.call("POST", "/keys", {"name": "more"}, key)
        check(status == 403, f"a service's key makes keys: {status}")
        status, listed = server.call("GET", "/keys", token=first)
        check(len(listed["keys"]) == 2 and key.split("_")[2] not in json.dumps(listed), f"{listed}")
        code, said = server.run("key", "create", "--name", "made by hand", "--days", "1")
        check(code == 0, said)
        by_hand = next(word for word in said.split() if word.startswith("scrim_"))
        _, took = wait("a key made by hand works", 10, lambda: server.call("GET", "/streams", token=by_hand)[0] == 200)
        code, said = server.run("key", "list")
        check(code == 0 and "made by hand" in said and by_hand not in said, said)
        code, said = server.run("key", "revoke", by_hand.split("_")[1])
        check(code == 0, said)
        _, gone = wait("and not once it is revoked", 10, lambda: server.call("GET", "/streams", token=by_hand)[0] == 401)
        status, _ = server.call("DELETE", f"/keys/{made['id']}", token=first)
        check(status == 200, f"revoke: {status}")
        status, _ = server.call("GET", "/streams", token=key)
        check(status == 401, f"a revoked key: {status}")
        code, token = server.run("token", "--sub", "olga", "--role", "operator")
        status, _ = server.call("GET", "/keys", token=token.strip().splitlines()[-1])
        check(code == 0 and status == 200, f"scrim token: {code} {status}")
        # A second start makes no second first key.
        file.unlink()
        server.process.end()
        server.start()
        check(not file.exists(), "a server that has keys made another first one")
        status, _ = server.call("GET", "/keys", token=first)
        check(status == 200, f"the first key after a restart: {status}")
    return [f"by hand: known after {took:.1f} s, revoked after {gone:.1f} s"]


def raw(server, data, seconds=15, client=None):
    """What comes back for these very bytes; empty when the connection was closed."""
    with socket.socket() as connection:
        connection.settimeout(seconds)
        if client:
            connection.bind((client, 0))
        connection.connect(("127.0.0.1", server.port))
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := connection.recv(65536):
                answer += part
        return answer.decode(errors="replace")


def test_bombs(stack):
    """Bombs and tricks in the request line, the headers and the body are refused, and nothing falls over"""
    token = api_token("operator")
    auth = f"Authorization: Bearer {token}\r\n"
    get = lambda target, headers="": f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
    body = lambda length, text: (
        f"POST /stream/start HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{text}"
    )
    deep = "[" * 60000
    cases = {
        "a request line of 1 MB": (get("/" + "a" * (1 << 20)), "4"),
        "a header of 1 MB": (get("/", f"X-Bomb: {'a' * (1 << 20)}\r\n"), "4"),
        "10,000 headers": (get("/", "".join(f"X-{n}: 1\r\n" for n in range(10000))), "4"),
        "a body of 10 MB": (body(10 << 20, "x" * 100), "413"),
        "a length that is none": (body("-1", ""), "400"),
        "two lengths": (body("5\r\nContent-Length: 6", "{}"), "400"),
        "length and chunks": (body("2\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "4"),
        "a chunk of 2^64 bytes": (body("0", "").replace("Content-Length: 0", "Transfer-Encoding: chunked") + "ffffffffffffffffff\r\n", "4"),
        "JSON 60,000 deep": (body(len(deep), deep), "4"),
        "a number of 60,000 digits": (body(60013, '{"roomName":' + "1" * 60000 + "}"), "4"),
        "not UTF-8": (body(4, "").encode() + b"\xff\xfe{}", "400"),
        "HTTP/0.9": ("GET /\r\n\r\n", "4"),
        "HTTP/2 without asking": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "4"),
        "TLS where there is none": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "4"),
        "a header with a line end": (get("/", "X-A: b\rX-Evil: c\r\n"), "4"),
        "a request id that forges log lines": (get("/health/live", "X-Request-ID: a\\nERROR forged\r\n"), "200"),
        "..": (get("/streams/../keys", auth), "404"),
        "%2e%2e": (get("/streams/%2e%2e/keys", auth), "404"),
        "//": (get("//keys", auth), "404"),
        "a slash at the end": (get("/keys/", auth), "404"),
        "%2f": (get("/streams%2f", auth), "404"),
        "a zero byte": (get("/streams/%00", auth), "404"),
        "another case": (get("/KEYS", auth), "404"),
        "an absolute address": (get("http://evil.example/keys", ""), "401"),
        "files": (get("/docs/../../../etc/passwd"), "404"),
        "files, encoded": (get("/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), "404"),
        "CONNECT": ("CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "4"),
    }
    with stack.strict() as server:
        for what, (data, expected) in cases.items():
            answer = raw(server, data if isinstance(data, bytes) else data.encode())
            status = answer[9:12]
            # A client that sends too much may see its connection reset before the answer.
            check(not answer or status.startswith(expected), f"{what}: {answer[:200]!r}")
            check("root:" not in answer, f"{what}: {answer[:200]!r}")
        words = ["' or 1=1 --", "'; drop table streams; --", "x%' union select * from api_keys --", "\\x00"]
        for word in words:
            quoted = urllib.parse.quote(word)
            for path in (f"/streams?room={quoted}", f"/streams?cursor={quoted}", f"/censorship/rules/{quoted}", f"/streams/{quoted}"):
                status, answer = server.call("GET", path, token=token)
                check(status in (200, 404, 422) and not (answer.get("streams")), f"{path}: {status} {answer}")
        line = "x\n2026-01-01T00:00:00Z ERROR scrim: forged"
        server.call("POST", "/stream/start", {"roomName": line}, token)
        status, _ = server.call("GET", "/streams", token=api_token("operator", sub=line))
        check(status == 401, f"a sub of two lines: {status}")
        check("ERROR scrim: forged" not in "\n".join(
            one for one in server.process.text().splitlines() if one.startswith("2026-01-01")
        ), "a log line was forged")
        check(server.process.running() and "panicked" not in server.process.text(), "the server fell over")
        status, _ = server.call("GET", "/streams", token=token)
        check(status == 200, f"a good call afterwards: {status}")
    return [f"{len(cases)} requests, {4 * len(words)} strings of SQL"]


def test_slow_clients(stack):
    """Clients that are slow on purpose lose their places, and others are served meanwhile"""
    limits = {"HEADER_TIMEOUT_MS": "1000", "BODY_TIMEOUT_MS": "1000", "WRITE_TIMEOUT_MS": "1000"}
    env = {f"SCRIM__HTTP__{name}": value for name, value in limits.items()}
    with stack.strict(SCRIM__HTTP__MAX_CONNECTIONS="300", SCRIM__HTTP__MAX_CONNECTIONS_PER_CLIENT="100", **env) as server:
        auth = f"Authorization: Bearer {api_token('operator')}\r\n"
        start = f"POST /stream/start HTTP/1.1\r\nHost: x\r\n{auth}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        kinds = {"headers": b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", "body": start.encode(), "nothing": b""}
        for kind, first in kinds.items():
            held = []
            for _ in range(60):
                one = socket.create_connection(("127.0.0.1", server.port), 5)
                one.sendall(first)
                held.append(one)
            stop = threading.Event()
            drip = threading.Thread(target=dripping, args=(held, stop, kind != "nothing"))
            drip.start()
            begin = time.monotonic()
            slowest = 0.0
            while time.monotonic() - begin < 2:
                at = time.monotonic()
                status, _ = server.call("GET", "/health/live")
                check(status == 200, f"slow {kind}: another client is answered {status}")
                slowest = max(slowest, time.monotonic() - at)
            stop.set()
            drip.join()
            over = sum(is_over(one) for one in held)
            check(over == len(held), f"slow {kind}: {len(held) - over} of {len(held)} connections are still open")
            for one in held:
                one.close()
            check(slowest < 1, f"slow {kind}: others waited {slowest:.2f} s")
        # Asks for ever, reads never: the answers fill the buffers of the connection, then it is closed.
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.settimeout(0.2)

        def shut():
            with contextlib.suppress(TimeoutError):
                try:
                    deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
                except ConnectionError:
                    return True
            return False

        _, took = wait("a client that never reads is let go", 20, shut)
        deaf.close()
    return [f"3 × 60 slow clients closed; one that never reads after {took:.1f} s"]


def dripping(held, stop, drip):
    """A byte each now and then, so that no connection is idle."""
    while not stop.wait(0.2):
        for one in held if drip else ():
            with contextlib.suppress(OSError):
                one.send(b"x")


def is_over(connection):
    """Whether the other side has closed it, whatever it said before."""
    connection.settimeout(3)
    try:
        while connection.recv(65536):
            pass
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_many_connections(stack):
    """10,000 connections: the server keeps its bounds, answers others, and forgets them"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 500), hard))
    held = []
    try:
        with stack.strict(SCRIM__HTTP__HEADER_TIMEOUT_MS="1000") as server:
            before, usual = resident(server), descriptors(server)
            for n in range(wanted):
                one = socket.socket()
                one.setblocking(False)
                # Forty clients: no single one would get as far.
                one.bind((f"127.0.1.{1 + n % 40}", 0))
                with contextlib.suppress(BlockingIOError):
                    one.connect(("127.0.0.1", server.port))
                held.append(one)
            most = descriptors(server)
            check(most < 1024 + usual + 50, f"{most} descriptors are open")
            _, took = wait("another client is answered", 60, lambda: answers_soon(server))
            grown = (resident(server) - before) / 1e6
            check(grown < 200, f"{grown:.0f} MB more")
            for one in held:
                one.close()
            wait("they are forgotten", 30, lambda: descriptors(server) < usual + 50)
            status, _ = server.call("GET", "/health/ready")
            check(status == 200, f"afterwards: {status}")
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return [f"{wanted} connections: {most} descriptors, {grown:.0f} MB more, others answered after {took:.1f} s"]


def answers_soon(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def descriptors(server):
    return len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))


def resident(server):
    pages = int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_secrets_stay_inside(stack):
    """No secret is in a log line, /health, an error, the description, or what check-config prints"""
    directory = stack.directory / "secrets"
    directory.mkdir(exist_ok=True)
    for name, value in (("jwt", JWT_SECRET), ("livekit", STRICT_SECRET)):
        (directory / name).write_text(value + "\n")
    env = {
        "JWT_SECRET_FILE": str(directory / "jwt"), "LIVEKIT_API_SECRET_FILE": str(directory / "livekit"),
        "LOG_LEVEL": "trace",
    }
    server = harness.Strict(stack, env)
    for name in ("JWT_SECRET", "LIVEKIT_API_SECRET"):
        del server.env[name]
    try:
        server.start()
        operator = api_token("operator")
        said = [json.dumps(server.call("GET", path)[1]) for path in ("/health", "/metrics", "/openapi.json", "/", "/keys", "/x")]
        status, stream = server.call("POST", "/stream/start", {"roomName": "secret-stage"}, operator)
        check(status == 201, f"{status} {stream}")
        status, made = server.call("POST", "/keys", {"name": "one"}, operator)
        check(status == 201, f"{status} {made}")
        body = delivery("track_published", "secret-hook", 99)
        good = {"content-type": "application/webhook+json", "authorization": signed(body, STRICT_SECRET, key=STRICT_KEY)}
        status, answer = server.call("POST", "/livekit/webhook", raw=body, headers=good)
        check(status == 200, f"webhook: {status} {answer}")
        server.call("POST", "/stream/start", {"roomName": "x", "token": "y"}, "nonsense-token-nonsense")
        for room in ("secret-stage", "secret-hook"):
            server.call("POST", "/stream/end", {"roomName": room}, operator)
        code, printed = server.run("check-config")
        check(code == 0 and "***" in printed, printed)
        first = (server.directory / "first-key").read_text().strip()
        secrets = {
            "the JWT secret": JWT_SECRET, "LiveKit's secret": STRICT_SECRET, "a caller's token": operator.split(".")[2],
            "the broadcaster's token": stream["token"].split(".")[2], "a key": made["key"].split("_")[2],
            "the first key": first.split("_")[2], "a refused token": "nonsense-token-nonsense",
        }
        listing = json.dumps(server.call("GET", "/keys", token=operator)[1])
        environ = pathlib.Path(f"/proc/{server.process.pid}/environ").read_text()
        places = {
            "an answer": "\n".join(said), "the log": server.process.text(), "check-config": printed,
            "the list of keys": listing, "the environment": environ,
        }
        for place, text in places.items():
            for what, secret in secrets.items():
                check(secret not in text, f"{what} is in {place}")
        any_token = re.search(r"eyJ[\w-]{10,}\.eyJ[\w-]+", places["the log"])
        check(not any_token, f"a token is in the log: {any_token and any_token[0][:40]}")
        lines = len(server.process.text().splitlines())
    finally:
        server.end()
    short = {
        "short": {"JWT_SECRET": "too-short"}, "the public one": {"JWT_SECRET": harness.SECRET},
        "one letter": {"JWT_SECRET": "a" * 40},
    }
    for what, env in short.items():
        refused = harness.Strict(stack, env)
        refused.process = stack.launch_scrim(name=f"refused-{what.replace(' ', '-')}", dev=False, **refused.env)
        wait(f"{what}: ends", 20, lambda: not refused.process.running())
        check("access.jwt_secret" in refused.process.text(), refused.process.text())
        check(refused.process.child.returncode == 1, f"{what}: {refused.process.child.returncode}")
    return [f"{len(secrets)} secrets, {len(places)} places, {lines} log lines at level trace"]


def test_renewed_certificate(stack):
    """With a certificate the port speaks TLS alone, marks it (HSTS), and takes a renewed one by itself"""
    import ssl
    import subprocess

    directory = stack.directory / "tls"
    directory.mkdir(exist_ok=True)

    def certificate(name):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "key.pem",
             "-out", directory / "certificate.pem"], check=True, capture_output=True,
        )

    certificate("first")
    server = harness.Strict(stack, {
        "SCRIM__HTTP__TLS_CERTIFICATE": str(directory / "certificate.pem"), "SCRIM__HTTP__TLS_KEY": str(directory / "key.pem"),
    })
    context = ssl.create_default_context(cafile=directory / "certificate.pem")

    def answer(context):
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=5, context=context)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse()
        except OSError:
            return None
        finally:
            connection.close()

    try:
        server.process = stack.launch_scrim(name="tls", dev=False, **server.env)
        response, _ = wait("it answers under TLS", 60, lambda: answer(context))
        check(response.headers["strict-transport-security"], "no HSTS")
        check("200" not in raw(server, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")[:12], "it answers in the clear")
        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        check(answer(old) is None, "TLS 1.1 is spoken")
        code, said = server.run("health", "--live")
        check((code, said.strip()) == (0, '{"status":"ok"}'), f"scrim health under TLS: {code} {said}")
        first = directory / "first.pem"
        first.write_bytes((directory / "certificate.pem").read_bytes())
        # A pair that does not fit changes nothing.
        (directory / "key.pem").write_text("nonsense")
        wait("the log says that the pair does not fit", 20, lambda: "the certificate in use stays" in server.process.text())
        check(answer(context), "a broken key took the certificate away")
        certificate("second")
        renewed = ssl.create_default_context(cafile=directory / "certificate.pem")
        _, took = wait("the renewed certificate is served", 20, lambda: answer(renewed))
        code, said = server.run("health", "--live")
        check(code == 0, f"scrim health after the renewal: {said}")
        # Somebody else on the port: the certificate that was there before is another one by now.
        server.env["SCRIM__HTTP__TLS_CERTIFICATE"] = str(first)
        code, said = server.run("health", "--live")
        check(code == 1 and "another certificate" in said, f"scrim health and another certificate: {code} {said}")
    finally:
        server.end()
    return [f"renewed after {took:.1f} s"]


def test_strict_webhooks(stack):
    """Webhooks signed with another key or for another body, and replays, change nothing"""
    with stack.strict() as server:
        body = delivery("track_published", "hooked", 7)
        kind = {"content-type": "application/webhook+json"}
        send = lambda token, data=body: server.call("POST", "/livekit/webhook", raw=data, headers={**kind, "authorization": token})
        refused = {
            "another key of the same server": signed(body),
            "an operator's token": f"Bearer {api_token('operator')}",
            "the right secret under another key": signed(body, STRICT_SECRET),
            "another body": signed(b"{}", STRICT_SECRET, key=STRICT_KEY),
            "no hash": jwt({"alg": "HS256"}, {"iss": STRICT_KEY, "exp": int(time.time()) + 60}, STRICT_SECRET),
            "alg none": jwt({"alg": "none"}, {"iss": STRICT_KEY, "exp": int(time.time()) + 60}, ""),
        }
        for what, token in refused.items():
            status, answer = send(token)
            check(status == 401, f"{what}: {status} {answer}")
        operator = api_token("operator")
        live = lambda: [one for one in server.call("GET", "/streams?room=hooked", token=operator)[1]["streams"]]
        check(not live(), "a refused webhook started a stream")
        good = signed(body, STRICT_SECRET, key=STRICT_KEY)
        check(send(good)[0] == 200, "LiveKit's own was refused")
        wait("the stream is there", 10, live)
        server.call("POST", "/stream/end", {"roomName": "hooked"}, operator)
        for _ in range(20):
            check(send(good)[0] == 200, "a replay was not taken quietly")
        check(len(live()) == 1, "a replay started a stream")
    return [f"{len(refused)} forgeries, 20 replays"]


def test_nothing_is_told_to_others(stack):
    """ONNX Runtime, which would tell its maker what it is used for, keeps nothing to be sent"""
    home = stack.directory / "home"
    home.mkdir()
    # It holds its tongue in CI by itself, and where the environment says so already.
    quiet = {name: "" for name in ("CI", "GITHUB_ACTIONS", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")}
    with stack.strict(HOME=str(home), **quiet):
        time.sleep(2)
    left = [str(one.relative_to(home)) for one in home.rglob("*")]
    check(not left, f"left in the home directory: {left}")
    return ["nothing in the home directory"]
