"""What a fault drill needs: a PostgreSQL of its own, a machine whose clock and disk go wrong, callers who
remember what they were told, and a reader of events."""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request

from harness import HERE, Failed, Process, check, free_ports, wait


class Postgres:
    """A server in a folder of its own; refuses to run as root, so that it is given to `postgres`."""

    def __init__(self, stack):
        programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        found = programs[-1] / "postgres" if programs else shutil.which("postgres")
        check(found, "PostgreSQL is not installed: scripts/setup postgres")
        self.programs, self.stack = pathlib.Path(found).parent, stack
        # Not below the stack's own folder, which nobody else may enter.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="scrim-drill-"))
        self.folder.chmod(0o755)
        self.port = free_ports(1)[0]
        self.url = f"postgres://scrim@127.0.0.1:{self.port}/postgres"
        self.as_user = []
        if os.geteuid() == 0:
            # A change of user forgets the signal that ends it with the tests; setpriv sets it anew.
            self.as_user = [
                "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL",
            ]
            shutil.chown(self.folder, "postgres")
        data = ["-D", str(self.folder / "data")]
        subprocess.run(
            [*self.as_user, self.programs / "initdb", *data, "-U", "scrim", "--auth=trust", "--no-sync", "-E", "UTF8"],
            check=True, capture_output=True, cwd="/",
        )
        self.command = [
            "env", "--chdir=/", *self.as_user, str(self.programs / "postgres"), *data, "-k", str(self.folder), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1",
        ]
        self.start()

    def start(self):
        self.process = Process("postgres", self.command, self.stack.directory / "postgres.log")
        ready = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait("PostgreSQL answers", 30, lambda: subprocess.run(ready).returncode == 0)

    def _all(self):
        """The server and every process that it has made: each is in a group of its own."""
        of = lambda pid: int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        every = [self.process.pid]
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if of(entry.name) == self.process.pid:
                    every.append(int(entry.name))
            except (OSError, IndexError):
                continue
        return every

    def signal(self, how):
        for pid in self._all():
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                continue

    def kill(self):
        """As a power cut: nothing is folded up, nobody is told."""
        self.signal(signal.SIGKILL)
        self.process.child.wait()

    def close(self):
        if self.process.running():
            self.signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Machine:
    """A wall clock and a disk that are wrong when they are told to be; see faults.c."""

    def __init__(self, stack):
        self.file, library = stack.directory / "machine", stack.directory / "faults.so"
        self.tell()
        if not library.exists():
            made = subprocess.run(
                ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / "faults.c", "-ldl"],
                capture_output=True, text=True,
            )
            check(made.returncode == 0, f"faults.c: {made.stderr}")
        self.env = {"LD_PRELOAD": str(library), "SCRIM_TEST_MACHINE": str(self.file)}

    def tell(self, clock=0, full=False):
        """By how many seconds the wall clock is off, and whether the disk is full. In place: it is mapped."""
        with open(self.file, "r+b" if self.file.exists() else "w+b") as file:
            file.write(struct.pack("<qq", clock, full))


class Writer:
    """Changes rules several times a second, each time to another value, and remembers which changes were
    acknowledged. What was not may or may not be there: nobody was told."""

    EVERY = 0.2

    def __init__(self, server, room, **how):
        self.server, self.room, self.how = server, room, how
        self.acknowledged, self.times, self.refused, self.slowest = [], [], {}, 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        number = 0
        while not self.over.is_set():
            number += 1
            asked = time.monotonic()
            try:
                status, _ = self.server.call(
                    "PUT", f"/censorship/rules/{self.room}", {"padding": number / 10_000}, **self.how
                )
            except (OSError, EOFError):
                status = 0
            self.slowest = max(self.slowest, time.monotonic() - asked)
            if status == 200:
                self.acknowledged.append(number)
                self.times.append(time.monotonic())
            else:
                self.refused[status] = self.refused.get(status, 0) + 1
            self.over.wait(max(0, self.EVERY - (time.monotonic() - asked)))

    def between(self, since, until):
        """How many changes were acknowledged in that time."""
        return sum(since < at < until for at in list(self.times))

    def stop(self):
        self.over.set()
        self.thread.join(30)
        return self

    def verify(self, server=None):
        """Every acknowledged change is in the audit log, once, in order, and the last one holds."""
        server = server or self.server
        noted, cursor = [], ""
        while cursor is not None:
            status, page = server.call("GET", f"/audit?target={self.room}&limit=200{cursor}", **self.how)
            check(status == 200, f"GET /audit answered {status}: {page}")
            for line in page["entries"]:
                if line["action"] == "rules.set":
                    noted.append(round(line["detail"]["padding"]["to"] * 10_000))
            cursor = f"&cursor={page['nextCursor']}" if page["nextCursor"] else None
        noted.reverse()
        lost = sorted(set(self.acknowledged) - set(noted))
        check(not lost, f"{len(lost)} acknowledged changes are gone: {lost[:10]}")
        check(noted == sorted(set(noted)), f"the audit log is out of order: {noted}")
        status, rules = server.call("GET", f"/censorship/rules/{self.room}", **self.how)
        check(status == 200, f"GET of rules answered {status}: {rules}")
        check(round(rules["padding"] * 10_000) == noted[-1], f"{rules} is not the last of {noted[-3:]}")
        return f"{len(self.acknowledged)} changes acknowledged, 0 lost; refused {self.refused or 'none'}, " \
            f"slowest answer {self.slowest:.1f} s"


class Feed:
    """Reads GET /events: what was announced, and when it came."""

    def __init__(self, server):
        self.events = []
        request = urllib.request.Request(server.http + "/events", headers={"accept": "text/event-stream"})
        self.stream = urllib.request.urlopen(request, timeout=120)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.stream:
                if line.startswith(b"data: {"):
                    self.events.append((time.monotonic(), json.loads(line[6:])))
        except (OSError, ValueError, AttributeError):
            return

    def detections(self, room, before=float("inf")):
        """Ids of the detections announced of a room before a moment, oldest first."""
        return [
            event["detectionId"] for at, event in list(self.events)
            if event.get("type") == "detection" and event["roomName"] == room and at < before
        ]


def history(server, room, **how):
    """Ids of all detections kept of a room, newest first."""
    ids, cursor = [], ""
    while cursor is not None:
        status, page = server.call("GET", f"/censorship/events?room={room}&limit=200{cursor}", **how)
        check(status == 200, f"GET /censorship/events answered {status}: {page}")
        ids += [one["detectionId"] for one in page["events"]]
        cursor = f"&cursor={page['nextCursor']}" if page["nextCursor"] else None
    check(ids == sorted(set(ids), reverse=True), "the history is out of order")
    return ids


def whole(server, room, announced, **how):
    """Every detection that was announced is in the history, once it has caught up."""
    missing = lambda: sorted(set(announced) - set(history(server, room, **how)))
    try:
        wait("what was announced is kept", 15, lambda: not missing(), pause=0.3)
    except Failed:
        raise Failed(f"{len(missing())} of {len(announced)} announced detections are gone") from None
    return f"{len(announced)} detections announced, 0 missing"


def flow(received, since, until, most=None):
    """How the pictures came in a time; fails when they stood still for longer than `most`."""
    times = [since, *(row.at for row in received.rows if since < row.at < until), until]
    longest = max(later - at for at, later in zip(times, times[1:]))
    rate = (len(times) - 2) / (until - since)
    line = f"{rate:.1f} pictures a second, longest pause {longest * 1e3:.0f} ms"
    check(most is None or longest < most, f"stalled: {line}")
    return line
