"""From start to end, many times, and the end of the whole."""

import asyncio
import os
import signal
import time

from harness import KEY, SECRET, check, wait

ROUNDS = 10
# Allocators keep some; what grows with every stream shows after ten of them.
GROWTH_MB = 40
# The configured deadline and the time to notice.
DEADLINE = 12


def holdings(pid):
    """What a process holds: threads, file descriptors, sockets, and resident MB."""
    kinds = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:
            continue
    return {
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "files": len(kinds),
        "sockets": sum(kind.startswith("socket:") for kind in kinds),
        "MB": int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6,
    }


def rooms(stack):
    """What LiveKit knows: room name to number of participants."""
    from livekit import api

    async def ask():
        async with api.LiveKitAPI(stack.url.replace("ws", "http"), KEY, SECRET) as server:
            listed = await server.room.list_rooms(api.ListRoomsRequest())
            return {
                room.name: len((await server.room.list_participants(
                    api.ListParticipantsRequest(room=room.name))).participants)
                for room in listed.rooms
            }

    return asyncio.run(ask())


def test_many_streams(stack):
    """Ten streams one after the other leave no thread, file, socket or participant behind"""
    stack.scrim.end()
    stack.start_scrim()
    broadcaster = stack.broadcaster()
    once = lambda: one_stream(stack, broadcaster)
    once()
    first = settled(stack)
    for _ in range(ROUNDS):
        once()
    last = settled(stack, first)
    for what in ("threads", "files", "sockets"):
        # One may be on its way out: a pooled thread, a connection kept alive.
        grew = f"{what}: {first[what]} after one stream, {last[what]} after {ROUNDS + 1}"
        check(last[what] <= first[what] + 2, grew)
    growth = last["MB"] - first["MB"]
    check(growth < GROWTH_MB, f"memory grew by {growth:.0f} MB")
    broadcaster.kill()
    left = rooms(stack)
    inside = {name: count for name, count in left.items() if name.startswith("round-") and count}
    check(not inside, f"somebody is still in {inside}")
    kept = [name for name in left if name.startswith("round-")]
    show = lambda held: ", ".join(f"{value:.0f} {name}" for name, value in held.items())
    return [
        f"after 1: {show(first)}", f"after {ROUNDS + 1}: {show(last)}",
        f"memory grew by {growth:.1f} MB; {len(kept)} empty rooms wait for LiveKit's own time-out",
    ]


def one_stream(stack, broadcaster):
    stack.rooms += 1
    stream = stack.start_stream(room=f"round-{stack.rooms}")
    broadcaster.ask("join", url=stack.url, token=stream.token, film="clean", codec="vp8")

    def released():
        frames = stack.live(stream.room)["statistics"]["frames"]
        return sum(frames[kind] for kind in ("clean", "covered", "coveredUnverified"))

    wait("frames are released", 10, lambda: released() > 5)
    broadcaster.ask("leave")
    stack.end_stream(stream.room)


def settled(stack, aim=None):
    """Its holdings, once they do not shrink any more."""
    best, quiet = holdings(stack.scrim.pid), 0
    while quiet < 20:
        time.sleep(0.1)
        now = holdings(stack.scrim.pid)
        shrank = any(now[what] < best[what] for what in ("threads", "files", "sockets"))
        best, quiet = now, 0 if shrank else quiet + 1
        if aim and quiet > 5 and all(now[what] <= aim[what] for what in ("threads", "files", "sockets")):
            break
    return best


def test_sigterm(stack):
    """SIGTERM with a live stream ends it within the deadline, exit code 0"""
    with stack.stage("face") as stream:
        wait("the stream is live", 10, lambda: stack.live(stream.room)["state"] == "live")
        time.sleep(1.5)
        code, took = stack.scrim.end(signal.SIGTERM, DEADLINE)
        text = stack.scrim.text()
        check(code == 0, f"exit code {code}\n" + "\n".join(text.splitlines()[-8:]))
        check("stream ended" in text, "the stream was not ended")
        late = [line for line in text.splitlines() if "did not end" in line or "left behind" in line]
        check(not late, "\n".join(late))
        others = {name: count for name, count in rooms(stack).items() if name == stream.processed}
        check(others.get(stream.processed, 0) <= 1, f"the server is still in the room: {others}")
        return [f"ended after {took:.2f} s"]
