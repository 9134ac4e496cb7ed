"""Alerts, their cases, the runbook, the dashboard, the Dockerfile and the compose file fit each other."""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEVERITIES = {"critical", "warning", "info"}


def text(path):
    return (ROOT / path).read_text()


def alerts():
    """Every alert has a case that fires and one that does not, a section, and says what to do."""
    rules = text("monitoring/alerts.yml")
    blocks = re.split(r"\n\s+- alert: ", rules)[1:]
    cases, runbook = text("monitoring/alerts_test.yml"), text("docs/OPERATIONS.md")
    for block in blocks:
        name = block.split("\n", 1)[0].strip()
        severity = re.search(r"labels: \{ severity: (\w+) \}", block)
        yield severity and severity[1] in SEVERITIES, f"alert {name} has no severity of {sorted(SEVERITIES)}"
        for wanted in ("summary:", "action:", f"runbook: docs/OPERATIONS.md#{name.lower()}\n"):
            yield wanted in block + "\n", f"alert {name} has no {wanted.strip()}"
        yield f"\n### {name}\n" in runbook, f"docs/OPERATIONS.md has no section {name}"
        yield f'alertname="{name}", alertstate="firing"' in cases, f"no case in which {name} fires"
        part = re.search(rf"- name: '?{name}\b.*?(?=\n  - name:|\Z)", cases, re.S)
        yield part and "exp_samples: []" in part[0], f"no case in which {name} keeps quiet"
    named = set(re.findall(r"\n### (Scrim\w+)\n", runbook))
    known = {block.split("\n", 1)[0].strip() for block in blocks}
    yield named == known, f"sections without an alert: {sorted(named - known)}"


def dashboard():
    """The dashboard can be drawn: ids, places, sources."""
    board = json.loads(text("monitoring/grafana/dashboards/scrim.json"))
    panels = board["panels"]
    ids = [panel["id"] for panel in panels]
    yield len(ids) == len(set(ids)), "panels share an id"
    taken = {}
    for panel in panels:
        title, place = panel["title"], panel["gridPos"]
        yield place["x"] + place["w"] <= 24, f"panel {title} leaves the grid"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), title)
                yield other == title, f"panels {title} and {other} lie on each other"
        if panel["type"] == "row":
            continue
        yield panel.get("description"), f"panel {title} does not say what it shows"
        yield panel.get("targets"), f"panel {title} has no query"
        for target in panel.get("targets", ()):
            yield target["datasource"]["uid"] == "${datasource}", f"panel {title} names a data source"
    source = re.search(r"\n    type: (\w+)\n", text("monitoring/grafana/provisioning/datasources/prometheus.yml"))
    yield source and source[1] == "prometheus", "no data source is provisioned"


def instructions(path):
    """The lines of a Dockerfile, continued ones joined."""
    joined = re.sub(r"\\\n\s*", " ", text(path))
    lines = (line.strip() for line in joined.splitlines())
    return [line.split(" ", 1) for line in lines if line and not line.startswith("#")]


def dockerfile():
    """Steps are scripts, bases are pinned, nobody runs as root."""
    stages, stage, arguments = {}, None, {}
    for what, rest in instructions("Dockerfile"):
        if what == "ARG":
            arguments.update([rest.split("=", 1)])
        elif what == "FROM":
            base, _, stage = rest.partition(" AS ")
            image = arguments.get(base.strip("${}"), base)
            tag = image.rpartition(":")[2]
            yield re.search(r"\d+\.\d+", tag), f"{image} is not pinned to a version"
            stages[stage] = {}
        else:
            stages[stage].setdefault(what, []).append(rest)
            if what == "RUN":
                script = re.fullmatch(r"(?:--mount=\S+ )*(?:/src/)?(scripts/\w+) [\w /]+", rest)
                yield script and (ROOT / script[1]).exists(), f"RUN {rest} is no script of the repository"
    for variant in ("cpu", "gpu"):
        found = stages.get(variant, {})
        yield found.get("USER", ["root"])[-1].split(":")[0].isdigit(), f"{variant} runs as root"
        for what in ("HEALTHCHECK", "ENTRYPOINT", "EXPOSE", "VOLUME"):
            yield what in found, f"{variant} has no {what}"


def variables():
    """Every variable of the compose file stands in the example, and the reverse."""
    used = set()
    for path in ("docker-compose.yml", "docker-compose.gpu.yml"):
        used |= set(re.findall(r"\$\{(\w+)", text(path)))
    named = set(re.findall(r"^(\w+)=", text(".env.example"), re.M))
    yield used == named, f"not in both docker-compose.yml and .env.example: {sorted(used ^ named)}"
    for name in re.findall(r"^    image: (\S+)", text("docker-compose.yml"), re.M):
        yield re.search(r":(cpu|.*\d+\.\d+)", name), f"{name} is not pinned to a version"


def actions():
    """Actions are pinned to a tag."""
    for use in re.findall(r"uses: (\S+)", text(".github/workflows/ci.yml")):
        yield re.search(r"@v\d", use), f"{use} is not pinned to a tag"


def main():
    problems = []
    for check in (alerts, dashboard, dockerfile, variables, actions):
        for holds, problem in check():
            if not holds:
                problems.append(problem)
    print("\n".join(f"    {problem}" for problem in problems) or "    all does")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
