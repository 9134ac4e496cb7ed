"""What operators look at: a real Prometheus scrapes the running server, and every query finds its metrics."""

import http.server
import json
import threading
import urllib.error
import urllib.parse
import urllib.request

import harness
from harness import ROOT, check, wait

# As Grafana fills them in; the rate interval is four scrapes or more.
VARIABLES = {"$__rate_interval": "5s", "$instance": ".*", "$room": ".*"}
CONFIG = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [{root}/monitoring/alerts.yml]
scrape_configs:
  - job_name: scrim
    static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
"""


class Prometheus:
    """A Prometheus of one's own beside the stack."""

    def __init__(self, stack):
        (port,) = harness.free_ports(1)
        self.http = f"http://127.0.0.1:{port}/api/v1/"
        config = stack.directory / "prometheus.yml"
        config.write_text(CONFIG.format(root=ROOT, port=stack.http_port))
        command = [
            str(ROOT / ".scrim/tools/prometheus"), f"--config.file={config}",
            f"--storage.tsdb.path={stack.directory / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.process = harness.Process("prometheus", command, stack.directory / "prometheus.log")
        ready = f"http://127.0.0.1:{port}/-/ready"
        wait("prometheus is ready", 30, lambda: stack.answers(ready))

    def ask(self, what, **values):
        """The data of an answer; warnings and hints are failures."""
        url = self.http + what + "?" + urllib.parse.urlencode(values)
        try:
            answer = json.load(urllib.request.urlopen(url, timeout=10))
        except urllib.error.HTTPError as error:
            raise harness.Failed(f"{values or what}: {error.read().decode(errors='replace')}") from None
        told = answer.get("warnings", []) + answer.get("infos", [])
        check(not told, f"{values or what}: {told}")
        return answer["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def selectors(self, expression):
        """Each `metric{labels}` of an expression, as one that holds whatever the values are today:
        equal labels stay, for others there must be some value."""
        found, todo = set(), [self.ask("parse_query", query=expression)]
        while todo:
            node = todo.pop()
            if isinstance(node, list):
                todo += node
            elif isinstance(node, dict):
                todo += node.values()
                if node.get("type") in ("vectorSelector", "matrixSelector"):
                    found.add(self._general(node["matchers"]))
        return found

    @staticmethod
    def _general(matchers):
        parts = []
        for matcher in matchers:
            name, kind, value = matcher["name"], matcher["type"], matcher["value"]
            parts.append(f'{name}="{value}"' if kind == "=" else f'{name}!=""')
        return "{" + ", ".join(sorted(parts)) + "}"


def panels():
    """Every query of the dashboard, by panel."""
    board = json.loads((ROOT / "monitoring/grafana/dashboards/scrim.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            check("$" not in query, f"panel {panel['title']}: a variable that nobody fills in: {query}")
            yield panel["title"], query


def test_monitoring(stack):
    """Every query of the dashboard and the alerts finds what it asks for on a running server."""
    prometheus = Prometheus(stack)
    try:
        with stack.stage():
            # A panel shows errors: there must be some, all the time that it looks at.
            def complain():
                return stack.call("GET", "/streams/nobody")[0] >= 400

            queries = list(panels())

            def silent():
                complain()
                return [title for title, query in queries if not prometheus.query(query)]

            try:
                _, took = wait("every panel shows something", 30, lambda: not silent(), pause=1)
            except harness.Failed:
                raise harness.Failed(f"these panels show nothing: {silent()}") from None
            groups = prometheus.ask("rules")["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            selectors = {
                selector
                for query in [query for _, query in queries] + [rule["query"] for rule in rules]
                for selector in prometheus.selectors(query)
            }
            unknown = [one for one in sorted(selectors) if not prometheus.query(one)]
            check(not unknown, f"/metrics has nothing like {unknown}")
            sick = {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"}
            check(not sick, f"alerts that cannot be evaluated: {sick}")
            firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
            check(not firing, f"alerts on a server that is well: {firing}")
    finally:
        prometheus.process.end()
    return [
        f"{len(queries)} queries of the dashboard and {len(rules)} alerts over {len(selectors)} selectors; "
        f"every panel filled after {took:.0f} s"
    ]


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes traces and keeps their spans."""

    spans = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for resource in body["resourceSpans"]:
            self.spans.extend(span for scope in resource["scopeSpans"] for span in scope["spans"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_traces(stack):
    """A stream is a trace under its own id: join, first frame, first verdict, first release, splices."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.scrim.end()
    stack.start_scrim(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
    try:
        with stack.stage() as stage:
            wanted = {"join", "first frame", "first verdict", "first release"}
            trace = stage.id.replace("-", "")

            def told():
                return {span["name"] for span in Collector.spans if span["traceId"] == trace}

            wait("the stream's beginning is told", 20, lambda: told() >= wanted)
            stack.end_stream(stage.room)
            # The face was covered, and so encoded, until the end.
            wait("its end is told", 20, lambda: told() >= wanted | {"stream", "encode"})
        parts = [span for span in Collector.spans if span["traceId"] == trace]
        (whole,) = [span for span in parts if span["name"] == "stream"]
        check("parentSpanId" not in whole, "the stream has a parent")
        strangers = [s["name"] for s in parts if s is not whole and s["parentSpanId"] != whole["spanId"]]
        check(not strangers, f"no part of the stream: {strangers}")
        took = {s["name"]: (int(s["endTimeUnixNano"]) - int(s["startTimeUnixNano"])) / 1e6 for s in parts}
        check(all(ms >= 0 for ms in took.values()), f"ended before it began: {took}")
    finally:
        server.shutdown()
        stack.scrim.end()
    return [", ".join(f"{name} {ms:.0f} ms" for name, ms in took.items())]
