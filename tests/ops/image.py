"""The tree that the image holds runs by itself: read-only, as nobody, with the Dockerfile's settings."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

from check import ROOT, instructions

START_SECONDS = 60
USER = 10001
# What every Debian and Ubuntu image holds.
BASE = {"libc6", "libgcc-s1", "libstdc++6"}


def settings():
    """The cpu stage's environment, command and health check."""
    stage, env, command, check = None, {}, None, None
    for what, rest in instructions("Dockerfile"):
        if what == "FROM":
            stage = rest.rpartition(" AS ")[2]
        elif stage == "cpu" and what == "ENV":
            env.update(pair.split("=", 1) for pair in rest.split())
        elif stage == "cpu" and what == "CMD":
            command = json.loads(rest)
        elif stage == "cpu" and what == "HEALTHCHECK":
            check = json.loads(rest.partition("CMD ")[2])
    return env, command, check


def libraries(tree):
    """Each library that the binaries name comes from a package that the image installs."""
    wanted = set(subprocess.check_output([ROOT / "scripts/image", "packages"], text=True).split()) | BASE
    for file in (tree / "usr/local/bin/scrim", tree / "opt/scrim/lib/libonnxruntime.so"):
        dynamic = subprocess.check_output(["readelf", "-d", file], text=True)
        paths = dict(re.findall(r"(\S+) => (/\S+)", subprocess.check_output(["ldd", file], text=True)))
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
            path = paths.get(name)
            if not path or name.startswith("ld-linux"):
                if name.startswith("ld-linux"):
                    continue
                sys.exit(f"    {file.name} needs {name}, which is not on this system")
            owner = ""
            # Where /lib is a link to /usr/lib, dpkg knows either.
            for spelling in (path, os.path.realpath(path), path.removeprefix("/usr")):
                found = subprocess.run(["dpkg", "-S", spelling], capture_output=True, text=True)
                if found.returncode == 0:
                    owner = found.stdout.split(":")[0]
                    break
            if owner not in wanted:
                sys.exit(f"    {file.name} needs {name} of {owner or 'no package'}; scripts/image installs {sorted(wanted)}")


def main():
    tree = pathlib.Path(sys.argv[1])
    if pathlib.Path("/usr/bin/dpkg").exists():
        libraries(tree)
    env, command, check = settings()
    # What the image has as /var/lib/scrim: the one place that can be written.
    data = tree.parent / "data"
    # As in the image, but for where its root is, and for the port.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value.replace("/opt/", f"{tree}/opt/") for name, value in env.items()}
    env |= {
        "PATH": f"{tree}/usr/local/bin:/usr/bin:/bin", "SCRIM__HTTP__LISTEN": f"0.0.0.0:{port}",
        # Nobody answers there: the server starts all the same, and is not ready.
        "LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "ddf7c3f8b2a94d1f8a3a5c7e9b1d3f50", "JWT_SECRET": "5b0c7d1e9f3a42c68e7d9b1f0a2c4e61",
        "DATABASE_URL": f"sqlite:{data}/scrim.db",
    }
    # Root reads and writes everything: be somebody who does not.
    drop = dict(user=USER, group=USER, extra_groups=[]) if os.geteuid() == 0 else {}
    data.mkdir()
    if drop:
        os.chown(data, USER, USER)
    command = [part.replace("/opt/", f"{tree}/opt/") for part in command]
    subprocess.run(["chmod", "-R", "a-w,a+rX", tree], check=True)
    os.chmod(tree.parent, 0o755)
    run = dict(env=env, cwd=tree / "opt/scrim", **drop)
    binary = tree / "usr/local/bin/scrim"
    with open(tree.parent / "image.log", "w") as log:
        server = subprocess.Popen([binary, *command], stdout=log, stderr=log, **run)
    try:
        end = time.monotonic() + START_SECONDS
        while subprocess.run([binary, *check[1:]], capture_output=True, **run).returncode:
            if server.poll() is not None or time.monotonic() > end:
                sys.exit("    not live:\n" + (tree.parent / "image.log").read_text())
            time.sleep(0.2)
        ready = subprocess.run([binary, "health"], capture_output=True, text=True, **run)
        if ready.returncode == 0 or "503" not in ready.stderr:
            sys.exit(f"    ready without LiveKit: {ready}")
        print(f"    live as user {USER if drop else os.getuid()}, read-only; {ready.stderr.strip()}")
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        server.kill()
    if server.returncode:
        sys.exit(f"    ended with {server.returncode}:\n" + (tree.parent / "image.log").read_text())


if __name__ == "__main__":
    main()
