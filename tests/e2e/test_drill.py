"""The fault drill: what fails beside a live stream costs its viewers nothing, and callers nothing that they
were told is done.

    tests/e2e/run drill         each fault for some seconds, as scripts/test has it
    scripts/drill               as long as a bad night: a database that is away for a minute
"""

import contextlib
import os
import signal
import time

import harness
from drill import Feed, Machine, Postgres, Writer, flow, history, whole
from harness import RULES, api_token, check, wait
from test_media import no_leaks

LONG = os.environ.get("SCRIM_DRILL") == "long"
# How long PostgreSQL is stopped, and how long it is down before it is started again.
STOPPED, DOWN = (60, 20) if LONG else (14, 5)
# How long the disk is full, and how long the clock is wrong each time.
FULL, WRONG = (60, 20) if LONG else (8, 5)
# A fault shows in /health within this, and is over within this.
SHOWS, RECOVERS = 12, 15
# Two pictures are never further apart than this, whatever else fails. A busy machine takes its time.
STALL = 1.0
# A change by another process holds here within this; the promise is a second.
HEARD = 1.5
# What was announced so long before a kill is in the history.
KEPT = 2.0
# Streams of a process that died are closed by another within this.
CLOSED = 120


@contextlib.contextmanager
def scrim(stack, **env):
    """The stack's server with other settings; the tests after this one start their own."""
    if stack.scrim and stack.scrim.running():
        stack.scrim.end()
    stack.start_scrim(**env)
    try:
        yield
    finally:
        if stack.scrim.running():
            with contextlib.suppress(harness.Failed):
                stack.scrim.end()


@contextlib.contextmanager
def postgres(stack):
    server = Postgres(stack)
    try:
        yield server
    finally:
        server.close()


def database(stack):
    return stack.call("GET", "/health")[1]["database"]


def fault(stack, what, begin, seconds, end):
    """One fault beside a live stream: it shows in /health, it is over, all is well again; what was measured."""
    began = time.monotonic()
    begin()
    state, shown = wait(f"{what}: /health says so", SHOWS, lambda: (one := database(stack))["state"] != "up" and one)
    check(state["error"], f"{what}: /health does not say what is wrong: {state}")
    time.sleep(max(0, seconds - (time.monotonic() - began)))
    end()
    over = time.monotonic()
    _, took = wait(f"{what}: well again", RECOVERS, lambda: database(stack)["state"] == "up")
    lost = database(stack)["lost"]
    check(lost == 0, f"{what}: {lost} things were lost")
    return began, over, f"{what} for {over - began:.0f} s: {state['state']} after {shown:.1f} s, well {took:.1f} s after"


@contextlib.contextmanager
def busy(stack, stream, room):
    """Everything runs: pictures come, detections are kept and announced, and somebody changes rules."""
    feed, writer = Feed(stack), Writer(stack, room)
    try:
        wait("detections are kept", 20, lambda: history(stack, stream.room))
        wait("changes are acknowledged", 10, lambda: len(writer.acknowledged) > 3)
        # Some of it undisturbed, to compare with.
        time.sleep(3)
        yield feed, writer
    finally:
        writer.stop()


def test_drill_postgres(stack):
    """Drill: PostgreSQL hangs, is killed and comes back: nothing leaks, stalls or is lost"""
    with (
        postgres(stack) as server, scrim(stack, DATABASE_URL=server.url), stack.stage("face") as stream,
        busy(stack, stream, "drill-hung") as (feed, writer),
    ):
        hung, _, one = fault(
            stack, "hung", lambda: server.signal(signal.SIGSTOP), STOPPED, lambda: server.signal(signal.SIGCONT)
        )
        _, _, two = fault(stack, "killed", server.kill, DOWN, server.start)
        time.sleep(2)
        end = time.monotonic()
        kept = whole(stack, stream.room, feed.detections(stream.room, end - 1))
        told = writer.stop().verify()
        received = stream.viewer.received()
        calm, away = flow(received, received.rows[0].at, hung), flow(received, hung, end, STALL)
        return [no_leaks(stack, received), one, two, f"before: {calm}", f"meanwhile and after: {away}", kept, told]


def test_drill_kill(stack):
    """Drill: Scrim is killed in mid-stream: nothing acknowledged is lost, and the stream goes on, still covered"""
    with stack.stage("face") as stream, busy(stack, stream, "drill-killed") as (feed, writer):
        time.sleep(KEPT)
        status, answer = stack.call("POST", f"/streams/{stream.id}/cover", {"on": True, "reason": "a drill"})
        check(status == 200, f"cover answered {status}: {answer}")
        # In the moment in which the answer is there.
        killed = time.monotonic()
        stack.scrim.end(signal.SIGKILL)
        told = writer.stop()
        stack.start_scrim()
        up = time.monotonic()
        status, past = stack.call("GET", f"/streams/{stream.id}")
        check((status, past["state"]) == (200, "interrupted"), f"the stream is {status} {past}")
        announced = feed.detections(stream.room, killed - KEPT)
        kept = whole(stack, stream.room, announced)
        status, page = stack.call("GET", f"/audit?target={stream.room}")
        noted = [line["action"] for line in page["entries"]]
        check("stream.cover" in noted and "stream.start" in noted, f"of the stream's audit only {noted} is left")
        # The broadcaster has noticed nothing, and nobody has told the new process of it.
        again, _ = wait("the stream is live again", 15, lambda: live(stack, stream.room))
        back = time.monotonic()
        check(again["streamId"] != stream.id and again["covered"], f"not the same, or not covered: {again}")
        time.sleep(5)
        received = stream.viewer.received()
        shown = received.numbered(killed + 1)
        check(not shown, f"{len(shown)} pictures were shown after the kill although they were to be covered")
        after = [row for row in received.rows if row.at > up]
        check(len(after) > 10, f"only {len(after)} pictures after the restart")
        return [
            no_leaks(stack, received), f"up {up - killed:.1f} s after the kill, live again by itself "
            f"{back - killed:.1f} s after it, {len(after)} pictures since, all covered", kept, told.verify(),
        ]


def test_drill_disk(stack):
    """Drill: the disk is full under SQLite: nothing leaks, stalls or is lost"""
    machine = Machine(stack)
    with (
        scrim(stack, **machine.env), stack.stage("face") as stream,
        busy(stack, stream, "drill-full") as (feed, writer),
    ):
        full, free, one = fault(stack, "full", lambda: machine.tell(full=True), FULL, machine.tell)
        told = writer.between(full + 0.5, free)
        check(not told, f"{told} changes were acknowledged on a full disk")
        time.sleep(2)
        end = time.monotonic()
        kept = whole(stack, stream.room, feed.detections(stream.room, end - 1))
        told = writer.stop().verify()
        check(set(writer.refused) == {503}, f"refused with {writer.refused}")
        received = stream.viewer.received()
        calm, away = flow(received, received.rows[0].at, full), flow(received, full, end, STALL)
        return [no_leaks(stack, received), one, f"before: {calm}", f"meanwhile and after: {away}", kept, told]


def test_drill_clock(stack):
    """Drill: the clock jumps an hour ahead and back: nothing leaks, stalls, expires too late or gets out of order"""
    machine = Machine(stack)
    with (
        scrim(stack, **machine.env), stack.stage("face") as stream, stack.strict(**machine.env) as strict,
        busy(stack, stream, "drill-clock") as (feed, writer),
    ):
        short, long = api_token("operator", seconds=600), api_token("operator", seconds=7_200)
        key = (strict.directory / "first-key").read_text().strip()
        ask = lambda token: strict.call("GET", "/streams", token=token)[0]
        began = time.monotonic()
        answers = []
        for hours in (1, 0, -1, 0):
            machine.tell(clock=3_600 * hours)
            time.sleep(WRONG)
            answers.append([ask(short), ask(long), ask(key)])
            check(database(stack)["state"] == "up", f"{hours} h: {database(stack)}")
            now = stack.live(stream.room)
            check(now and now["state"] == "live", f"{hours} h: the stream is {now}")
        # An hour ahead the short token has expired; and nothing else is any different.
        check(answers == [[401, 200, 200]] + [[200, 200, 200]] * 3, f"tokens and keys: {answers}")
        end = time.monotonic()
        announced = feed.detections(stream.room, end - 1)
        check(announced == sorted(announced), "ids of events went back with the clock")
        kept = whole(stack, stream.room, announced)
        told = writer.stop().verify()
        check(not writer.refused, f"changes were refused: {writer.refused}")
        received = stream.viewer.received()
        return [no_leaks(stack, received), f"four jumps: {flow(received, began, end, STALL)}", kept, told]


def live(stack, room):
    """The live stream of the room once frames are released."""
    found = stack.live(room)
    return found if found and found["state"] == "live" else None


def test_drill_processes(stack):
    """Drill: what one process changes holds in the others on the same database within a second"""
    with postgres(stack) as server, scrim(stack, DATABASE_URL=server.url), stack.stage("face") as stream:
        with stack.strict(DATABASE_URL=server.url, SCRIM__LIVEKIT__AUTOSTART="false") as other:
            operator = api_token("operator", seconds=3_600)
            found, _ = wait("detections are kept", 20, lambda: detection(other, stream.room, operator))
            log = lambda: stack.scrim.text().count("new rules")
            lines = []

            def heard(what, method, route, body=None):
                before, asked = log(), time.monotonic()
                status, answer = other.call(method, route, body, operator)
                check(status in (200, 204), f"{what}: {status} {answer}")
                _, took = wait(f"{what} is heard", 5, lambda: log() > before, pause=0.02)
                check(took < HEARD, f"{what}: heard only after {took:.2f} s")
                lines.append(f"{what}: held in the other process after {took * 1e3:.0f} ms")
                return asked

            said = {"streamId": found["streamId"], "detectionId": found["detectionId"], "wasCorrect": False}
            heard("a threshold moved", "POST", "/feedback/detection", said)
            whole_frame = {name: {"threshold": 0.25, "action": "cover"} for name in RULES["classes"]}
            covering = heard("rules changed", "PUT", f"/censorship/rules/{stream.room}", {"classes": whole_frame})
            time.sleep(3)
            # A key revoked on the command line, which is a process of its own.
            code, text = other.run("key", "create", "--name", "drill", "--role", "operator")
            check(code == 0, text)
            key = next(word for word in text.split() if word.startswith("scrim_"))
            ask = lambda: other.call("GET", "/streams", token=key)[0]
            _, took = wait("the key holds", 5, lambda: ask() == 200, pause=0.02)
            lines.append(f"a key made elsewhere: held after {took * 1e3:.0f} ms")
            code, text = other.run("key", "revoke", key.split("_")[1])
            check(code == 0, text)
            _, took = wait("the key is refused", 5, lambda: ask() == 401, pause=0.02)
            check(took < HEARD, f"a revoked key: refused only after {took:.2f} s")
            lines.append(f"a revoked key: refused {took * 1e3:.0f} ms after")
            received = stream.viewer.received()
            faces = [row for row in received.numbered(covering + HEARD) if stack.judge.film("face").face(row.index)]
            check(not faces, f"{len(faces)} pictures with a face were not covered whole as the new rules want")
            lines.append(no_leaks(stack, received))
            if LONG:
                lines.append(buried(stack, other, operator))
        return lines


def detection(server, room, token):
    """The newest detection of a room."""
    status, page = server.call("GET", f"/censorship/events?room={room}&limit=1", token=token)
    check(status == 200, f"GET /censorship/events answered {status}: {page}")
    return page["events"][0] if page["events"] else None


def buried(stack, other, token):
    """A stream of a process that dies and never comes back is closed by another one."""
    status, left = other.call("POST", "/stream/start", {"roomName": "left-behind"}, token)
    check(status == 201, f"POST /stream/start answered {status}: {left}")
    other.process.end(signal.SIGKILL)
    state = lambda: stack.call("GET", f"/streams/{left['streamId']}")[1]["state"]
    check(state() == "waiting" or state() == "live", f"the stream is {state()}")
    _, took = wait("the stream is closed", CLOSED, lambda: state() == "interrupted", pause=1)
    return f"a stream left behind was closed by the other process after {took:.0f} s"
