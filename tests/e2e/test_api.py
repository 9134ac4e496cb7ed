"""The API against its own description, and the walks of docs/API.md."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request

from harness import ROOT, api_token, check

TOOLS = ROOT / ".scrim/tools/schemathesis/bin"
# Enough for each route's examples, its bounds, and some hundred made-up calls.
SECONDS = 60
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "unsupported_method",
    "allow_header_conformance", "negative_data_rejection", "ignored_auth",
)

# Two streams at once, so that a thousand starts do not join a thousand rooms; past them the right
# answer is 503 with the reason.
CONFIG = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx"]

[[operations]]
include-path = "/stream/start"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""

EXAMPLES = """
import json, sys, urllib.request
import jsonschema_rs
whole = json.load(urllib.request.urlopen(sys.argv[1]))
count = 0
for path, item in whole["paths"].items():
    for method, operation in item.items():
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            media = content.get("application/json")
            if media and "example" in media:
                schema = {**(media["schema"] if media["schema"] is not True else {}), "components": whole["components"]}
                jsonschema_rs.Draft202012Validator(schema).validate(media["example"])
                count += 1
print(count)
"""


def test_description(stack):
    """The server answers as its description says, whatever is thrown at it"""
    config = stack.directory / "schemathesis.toml"
    config.write_text(CONFIG)
    with stack.strict(SCRIM__LIMITS__MAX_STREAMS="2") as server:
        fits = subprocess.run(
            [TOOLS / "python", "-c", EXAMPLES, server.http + "/openapi.json"], capture_output=True, text=True, timeout=60,
        )
        check(fits.returncode == 0, f"an example does not fit its schema: {fits.stderr[-1500:]}")
        command = [
            TOOLS / "st", "--config-file", config, "run", server.http + "/openapi.json",
            "--header", f"Authorization: Bearer {api_token('operator', seconds=3600)}",
            # The last phase follows the links of the description: what was started is looked at and ended.
            "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "15",
            # An event stream has no end: test_event_stream reads some of it.
            "--exclude-path", "/events",
            "--max-time", str(SECONDS), "--request-timeout", "20", "--seed", "1", "--no-color",
            "--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure",
        ]
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 240, cwd=stack.directory)
        took = time.monotonic() - begin
        (stack.directory / "schemathesis.log").write_text(done.stdout + done.stderr)
        check("panicked" not in server.process.text(), "a handler panicked")
        check(done.returncode == 0, done.stdout[-9000:] + done.stderr[-2000:])
        summary = [line.strip() for line in done.stdout.splitlines() if re.search(r"\d+ (generated|passed|tested|selected)|Operations:|Test cases:|generated", line)]
    return [f"{fits.stdout.strip()} examples fit; {took:.0f} s", *summary[-4:]]


def test_event_stream(stack):
    """GET /events as its description says: the right head, numbered events, and what was missed after a break"""
    # With limits, so that their headers are there as described.
    limits = {"SCRIM__LIMITS__REQUESTS": "1000", "SCRIM__LIMITS__STRICT_REQUESTS": "1000"}
    with stack.strict(**limits) as server:
        operator = api_token("operator", seconds=3_600)
        described = server.call("GET", "/openapi.json")[1]["paths"]["/events"]["get"]["responses"]["200"]

        def read(count, last=None):
            """The next events: id, type and data of each."""
            headers = {"authorization": f"Bearer {operator}", **({"last-event-id": last} if last else {})}
            request = urllib.request.Request(server.http + "/events", headers=headers)
            found, one = [], {}
            with urllib.request.urlopen(request, timeout=20) as answer:
                kind = answer.headers["content-type"].split(";")[0]
                check(answer.status == 200 and kind in described["content"], f"{answer.status} {kind}")
                missing = [name for name in described["headers"] if name not in answer.headers]
                check(not missing, f"no {missing} in {dict(answer.headers)}")
                if not last:
                    stream(count)
                while len(found) < count:
                    name, _, value = answer.readline().decode().rstrip("\n").partition(": ")
                    one |= {name: value} if value and name else {}
                    if not name and "data" in one:
                        found.append((one["id"], one["event"], json.loads(one["data"])))
                        one = {}
            return found

        def stream(count):
            """Makes at least so many events: each start and each end is one."""
            for number in range(count // 2):
                name = {"roomName": f"events-{number}"}
                for route in ("/stream/start", "/stream/end"):
                    status, answer = server.call("POST", route, name, operator)
                    check(status in (200, 201), f"{route}: {status} {answer}")

        seen = read(4)
        check([event for _, event, _ in seen] == ["stream.started", "stream.ended"] * 2, f"{seen}")
        check(all(event == data["type"] for _, event, data in seen), f"{seen}")
        check(all(data["streamId"] and data["roomName"] for _, _, data in seen), f"{seen}")
        check(read(3, last=seen[0][0]) == seen[1:], "what was missed is not what was there")
        refused = server.call("GET", "/events")[0], server.call("GET", "/events", token=api_token("viewer"))[0]
        check(refused == (401, 403), f"without a token and as a viewer: {refused}")
    return [f"{len(seen)} events; after a break those that were missed"]


def walks(kind):
    """The fenced blocks of docs/API.md that are marked as a walk."""
    text = (ROOT / "docs/API.md").read_text()
    return re.findall(rf"^```{kind} walk\n(.*?)^```$", text, re.S | re.M)


def test_walks(stack):
    """The walks of docs/API.md work as they stand there"""
    with stack.strict() as server:
        token = (server.directory / "first-key").read_text().strip()
        env = {**os.environ, "SCRIM_URL": server.http, "SCRIM_TOKEN": token}
        for kind, command in (("sh", ["bash", "-euo", "pipefail", "-c"]), ("python", [sys.executable, "-c"])):
            blocks = walks(kind)
            check(len(blocks) == 1, f"{len(blocks)} walks in {kind}")
            done = subprocess.run([*command, blocks[0]], env=env, capture_output=True, text=True, timeout=120)
            check(done.returncode == 0, f"{kind}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
            check(token not in done.stdout, "the token was printed")
