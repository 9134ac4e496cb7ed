"""What outlives the process, and what a database that is away costs: nothing that viewers see."""

import signal
import sqlite3
import time

from harness import RULES, check, wait
from test_media import no_leaks

# How long the database is held, so that nothing can be written. Longer than SQLite waits by itself.
AWAY = 8.0
# A stream's figures are written every 5 s; a killed server loses those since.
FIGURES = 6.0


def events(stack, room):
    """The detections kept of a room, newest first."""
    status, page = stack.call("GET", f"/censorship/events?room={room}&limit=200")
    check(status == 200, f"GET /censorship/events answered {status}: {page}")
    return page["events"]


def test_killed(stack):
    """A server that is killed: its streams are closed, rules and detections are kept"""
    with stack.stage("face") as stream:
        status, _ = stack.call("PUT", f"/censorship/rules/{stream.room}", RULES)
        check(status == 200, f"PUT of rules answered {status}")
        wait("detections are kept", 20, lambda: events(stack, stream.room))
        time.sleep(FIGURES)
        before = {one["detectionId"] for one in events(stack, stream.room)}
        stack.scrim.end(signal.SIGKILL)
        stack.start_scrim()
        status, past = stack.call("GET", f"/streams/{stream.id}")
        check((status, past["state"]) == (200, "interrupted"), f"the stream is {status} {past}")
        check(past["statistics"]["frames"]["received"] > 0, f"nothing is known of it: {past}")
        after = {one["detectionId"] for one in events(stack, stream.room)}
        check(before <= after, f"{len(before - after)} detections that were listed are gone")
        status, rules = stack.call("GET", f"/censorship/rules/{stream.room}")
        check((status, rules) == (200, RULES), f"the rules are {status} {rules}")
        stack.call("DELETE", f"/censorship/rules/{stream.room}")
        return [f"{len(after)} detections kept, {past['statistics']['frames']['received']} frames counted"]


def test_database_away(stack):
    """A database that takes nothing for 8 s: the stream goes on, and what waited is written"""
    with stack.stage("face") as stream:
        wait("detections are kept", 20, lambda: events(stack, stream.room))
        time.sleep(1)
        began = time.monotonic()
        holder = sqlite3.connect(stack.directory / "scrim.db", isolation_level=None)
        holder.execute("begin immediate")
        known = len(events(stack, stream.room))
        time.sleep(AWAY)
        status, health = stack.call("GET", "/health")
        check(status == 503 and health["database"]["state"] == "degraded", f"/health says {health['database']}")
        check(len(events(stack, stream.room)) == known, "something was written meanwhile")
        holder.execute("rollback")
        holder.close()
        over = time.monotonic()
        _, took = wait("the database is well again", 12, lambda: well(stack))
        wait("what waited is written", 12, lambda: len(events(stack, stream.room)) >= known + AWAY / 2)
        lost = stack.call("GET", "/health")[1]["database"]["lost"]
        check(lost == 0, f"{lost} detections were lost")
        received = stream.viewer.received()
        rows = [row.at for row in received.rows if began < row.at < over]
        longest = max(b - a for a, b in zip(rows, rows[1:]))
        check(longest < 1, f"no picture for {longest:.2f} s while the database was away")
        return [
            no_leaks(stack, received),
            f"{len(rows)} pictures meanwhile, longest pause {longest * 1e3:.0f} ms; well {took:.1f} s after",
        ]


def well(stack):
    return stack.call("GET", "/health")[1]["database"]["state"] == "up"
