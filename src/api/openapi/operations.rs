//! Every route, by resource: what it does, who may call it, what it can answer.

use serde_json::{Value, json};

use super::operation::{Operation, Who, operation};
use crate::api::{analytics, audit, detections, feedback, health, keys, streams, tokens};
use crate::censor::Document;
use crate::session::Summary;

/// What stands before all routes.
pub(super) const ABOUT: &str = "\
JSON in and out, keys in camelCase, ids UUIDv7, times RFC 3339 in UTC.

**Errors** are `application/problem+json` (RFC 9457): `type` for programs, `detail` for people, \
`requestId` for whoever reads the log. Unknown fields are refused.

**Lists** give a page, newest first, and `nextCursor`; pass it as `cursor` for the next page. It is \
`null` on the last one. `limit` is from 1 to 200.

**Limits** are counted by client: `RateLimit-*` tells how much is left, and 429 brings \
`Retry-After`.

**Retries**: send `Idempotency-Key` with `POST /stream/start`, and the same call made twice starts \
one stream.";

/// Groups of routes.
pub(super) const TAGS: [(&str, &str); 6] = [
    ("streams", "Start, look at, cover and end streams."),
    ("tokens", "Tokens that let people into LiveKit's rooms."),
    ("rules", "What is covered."),
    ("events", "What happens, as it happens."),
    ("keys", "API keys for programs."),
    ("server", "The server itself."),
];

const ID: &str = "0198c0de-7a11-7bcd-8abc-0123456789ab";

/// Every operation of the API.
pub(super) fn all() -> Vec<Operation> {
    [streams(), rest_of_streams(), rules(), history(), others(), keys(), server()].concat()
}

fn statistics() -> Value {
    json!({
        "durationSeconds": 61.5,
        "frames": {
            "received": 1845, "analysed": 310, "clean": 1700, "covered": 140,
            "coveredUnverified": 5, "dropped": 0,
        },
        "detections": { "FEMALE_BREAST_EXPOSED": 2 },
        "delayMs": 180.0,
        "addedLatencyMs": { "p50": 181.0, "p95": 184.5, "p99": 190.2 },
        "viewers": { "current": 12, "peak": 15, "total": 40 },
        "bytesIn": 15_400_000,
        "bytesOut": 15_100_000,
        "forwardedShare": 0.92,
    })
}

fn summary(state: &str) -> Value {
    json!({
        "streamId": ID,
        "roomName": "stage-1",
        "processedRoom": "stage-1-processed",
        "origin": "operator",
        "state": state,
        "startedAt": "2026-11-21T20:00:00Z",
        "covered": false,
        "statistics": statistics(),
    })
}

fn streams() -> Vec<Operation> {
    let start = operation("post", "/stream/start", "streams", "Start a stream")
        .about(
            "Creates both rooms and gives the broadcaster's token. Frames are processed from the \
             moment the broadcaster's video appears. The rules are laid over the room's and the \
             global ones. Counts against the strict limit.",
        )
        .header(
            "Idempotency-Key",
            "The same key with the same body gets the same answer for 24 hours; with another body \
             it is refused. 1 to 128 printable ASCII characters, without spaces.",
            json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$" }),
        )
        .takes::<streams::Start>(json!({
            "roomName": "stage-1",
            "participantName": "Ann",
            "rules": {
                "classes": { "FEMALE_BREAST_EXPOSED": { "threshold": 0.25, "action": "blur" } },
            },
            "mode": "verified",
        }))
        .gives::<streams::Started>(
            201,
            "The stream waits for its broadcaster.",
            json!({
                "streamId": ID,
                "roomName": "stage-1",
                "processedRoom": "stage-1-processed",
                "wsUrl": "wss://livekit.example",
                "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJBbm4ifQ.c2lnbmF0dXJl",
                "state": "waiting",
            }),
        )
        .with(&["Location", "Idempotency-Replayed"])
        .may(
            409,
            "The room has a live stream: `already-live`, its id in `streamId`. Or the same \
             idempotency key is being served just now: `idempotency-in-progress`.",
        )
        .may(502, "LiveKit cannot be reached or refused the room; `livekit-unavailable`.")
        .may(503, "The machine has no room for one more stream: `overloaded`, why in `reason`.");
    let end = operation("post", "/stream/end", "streams", "End a stream")
        .about("Name either roomName or streamId. A stream that has ended already answers again.")
        .takes::<streams::End>(json!({ "roomName": "stage-1" }))
        .gives::<Summary>(200, "The stream with its final figures.", summary("ended"))
        .may(404, "There never was such a stream; `unknown-stream`.");
    vec![start, end]
}

fn rest_of_streams() -> Vec<Operation> {
    let list = operation("get", "/streams", "streams", "List streams")
        .about("Live and past, newest first.")
        .query::<streams::Filter>()
        .gives::<streams::Page>(
            200,
            "A page.",
            json!({ "streams": [summary("live")], "nextCursor": null }),
        );
    let get = operation("get", "/streams/{id}", "streams", "Look at a stream")
        .gives::<Summary>(200, "The stream.", summary("live"))
        .may(404, "There is no such stream; `unknown-stream`.");
    let cover = operation("post", "/streams/{id}/cover", "streams", "Press the dump button")
        .about(
            "Covers the whole picture from the next released frame on, also what waits in the \
             delay, and mutes the sound when asked. Off again restores both.",
        )
        .takes::<streams::Cover>(json!({ "on": true, "mute": true, "reason": "a fight on stage" }))
        .gives::<Summary>(200, "The stream as it is now.", summary("live"))
        .may(404, "There is no such live stream; `unknown-stream`.");
    vec![list, get, cover]
}

fn rules() -> Vec<Operation> {
    let about = "The global ones lie over those of the configuration, a room's own over both.";
    let global = rules_of("/censorship/rules", ["Read", "Replace", "Take away"], about);
    let room = rules_of(
        "/censorship/rules/{room}",
        ["Read a room's", "Replace a room's", "Take away a room's"],
        about,
    );
    [global, room].concat()
}

fn rules_of(path: &'static str, verbs: [&'static str; 3], about: &'static str) -> Vec<Operation> {
    let example = json!({ "padding": 0.2, "mode": "verified" });
    let changed = "Somebody else was faster: the rules have another version; `stale`.";
    let names = ["rules"; 3];
    let [get, put, delete] = [("get", 0), ("put", 1), ("delete", 2)]
        .map(|(method, at)| operation(method, path, names[at], verbs[at]).about(about));
    let get = get
        .gives::<Document>(200, "The rules; empty when there are none.", example.clone())
        .with(&["ETag"]);
    let put = put
        .header("If-Match", IF_MATCH, json!({ "type": "string" }))
        .takes::<Document>(example.clone())
        .gives::<Document>(200, "The rules, in effect.", example)
        .with(&["ETag"])
        .may(412, changed);
    let delete = delete
        .header("If-Match", IF_MATCH, json!({ "type": "string" }))
        .gives_nothing(204, "There are none any more.")
        .with(&["ETag"])
        .may(412, changed)
        .may(400, "If-Match is no ETag of these rules; `malformed-request`.");
    if path.contains('{') {
        let invalid = "The name of the room makes no sense; `invalid-request`.";
        return vec![get.may(422, invalid), put, delete.may(422, invalid)];
    }
    vec![get, put, delete]
}

const IF_MATCH: &str = "The ETag that was read: what others changed meanwhile is not overwritten.";

fn detection() -> Value {
    json!({
        "detectionId": ID,
        "streamId": ID,
        "roomName": "stage-1",
        "at": "2026-11-21T20:00:05.25Z",
        "kind": "object",
        "class": "FEMALE_BREAST_EXPOSED",
        "score": 0.83,
        "bbox": [412.0, 180.5, 96.0, 90.0],
        "frame": 157,
        "findings": 24,
    })
}

fn history() -> Vec<Operation> {
    let totals = json!({
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
        "streams": 12,
        "liveStreams": 1,
        "viewers": 310,
        "peakViewers": 45,
        "averagePeakViewers": 21.5,
        "averageDurationSeconds": 1830.0,
        "totalDurationSeconds": 21960.0,
        "firstStartedAt": "2026-11-02T18:00:00Z",
        "lastStartedAt": "2026-11-21T20:00:00Z",
        "censorshipEvents": { "FEMALE_BREAST_EXPOSED": 14 },
    });
    let sessions = operation("get", "/censorship/sessions", "streams", "What runs now")
        .gives::<streams::Sessions>(
        200,
        "Newest first.",
        json!({ "sessions": [summary("live")] }),
    );
    let detections = operation("get", "/censorship/events", "events", "List detections")
        .about(
            "What was found and covered: one line a stream, class and second. As CSV with \
             `format=csv` or `Accept: text/csv`; then the next page's cursor is in X-Next-Cursor, \
             and `limit` may be up to 10,000.",
        )
        .query::<detections::Filter>()
        .gives::<detections::Page>(
            200,
            "A page.",
            json!({ "events": [detection()], "nextCursor": null }),
        )
        .also(
            "text/csv",
            "detectionId,at,streamId,roomName,kind,class,score,x,y,width,height,frame,findings\r\n",
        );
    let room = operation("get", "/room/analytics/{room}", "events", "Totals of a room")
        .query::<analytics::Asked>()
        .gives::<analytics::Totals>(
            200,
            "Of the last 30 days, when no range is named.",
            totals.clone(),
        );
    let all = operation("get", "/analytics", "events", "Totals of all rooms")
        .query::<analytics::Asked>()
        .gives::<analytics::Totals>(200, "Of the last 30 days, when no range is named.", totals);
    let entry = json!({
        "id": ID,
        "at": "2026-11-21T20:00:00Z",
        "actor": "olga",
        "action": "rules.set",
        "target": "stage-1",
        "detail": { "padding": { "from": 0.15, "to": 0.2 } },
    });
    let audit = operation("get", "/audit", "events", "Who changed what")
        .query::<audit::Filter>()
        .gives::<audit::Page>(
        200,
        "A page.",
        json!({ "entries": [entry], "nextCursor": null }),
    );
    [vec![sessions, detections, room, all, audit], feedback()].concat()
}

fn feedback() -> Vec<Operation> {
    let invalid = "The name of the room makes no sense; `invalid-request`.";
    let said = operation(
        "post",
        "/feedback/detection",
        "rules",
        "Say whether a detection was right",
    )
    .about(
        "Moves the threshold of its class in its room: 0.02 up after a false positive, 0.01 \
             down after a true one, never below what the rules say.",
    )
    .takes::<feedback::Said>(json!({ "streamId": ID, "detectionId": ID, "wasCorrect": false }))
    .gives::<feedback::Moved>(
        200,
        "The threshold, in effect.",
        json!({
            "roomName": "stage-1",
            "class": "FEMALE_BREAST_EXPOSED",
            "previousThreshold": 0.25,
            "threshold": 0.27,
            "configuredThreshold": 0.25,
        }),
    )
    .may(404, "That stream has no such detection; `unknown-detection`.")
    .may(409, "The rules allow this class by now; `not-covered`.");
    let room = operation("delete", "/feedback/{room}", "rules", "Forget a room's feedback")
        .gives_nothing(204, "Its thresholds are those of the rules.")
        .may(422, invalid);
    let class =
        operation("delete", "/feedback/{room}/{class}", "rules", "Forget feedback on a class")
            .gives_nothing(204, "Its threshold is that of the rules.")
            .may(422, invalid);
    vec![said, room, class]
}

fn others() -> Vec<Operation> {
    let token = operation("post", "/token", "tokens", "Get a token for a LiveKit room")
        .about(
            "A viewer's token opens the processed room and nothing else, whichever room is named. \
             With `access.viewer_tokens = \"anyone\"` viewers need no token to ask. Counts against \
             the strict limit.",
        )
        .by(Who::Known)
        .takes::<tokens::Ask>(
            json!({ "roomName": "stage-1", "participantName": "Vic", "role": "viewer" }),
        )
        .gives::<tokens::Answer>(
            200,
            "The token.",
            json!({
                "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJWaWMifQ.c2lnbmF0dXJl",
                "wsUrl": "wss://livekit.example",
                "roomName": "stage-1-processed",
            }),
        );
    let webhook = operation("post", "/livekit/webhook", "server", "Receive LiveKit's webhooks")
        .about("The body is LiveKit's event, as signed. An event that was seen changes nothing.")
        .by(Who::Livekit)
        .gives_nothing(200, "Taken.")
        .may(502, "LiveKit cannot be reached; it will deliver again. `livekit-unavailable`.")
        .may(503, "Shutting down; `unavailable`.");
    let events = operation("get", "/events", "events", "Follow what happens")
        .about(
            "Server-sent events: stream.started, stream.ended, detection, detector.degraded, \
             detector.recovered, and events.lost for a reader that is too slow.",
        )
        .header(
            "Last-Event-ID",
            "The last event that was read: what came after it is sent first, as far as it is kept.",
            json!({ "type": "string" }),
        )
        .gives_text(
            "text/event-stream",
            "Events without end.",
            "id: 0198c0de-1\nevent: detector.recovered\ndata: {\"type\":\"detector.recovered\",\"detector\":\"nudenet\"}\n\n",
        );
    vec![token, webhook, events]
}

fn keys() -> Vec<Operation> {
    let key = json!({
        "id": "97f3a91c2e5d8b04",
        "name": "encoder in studio 2",
        "role": "service",
        "createdAt": "2026-11-21T20:00:00Z",
        "createdBy": "olga",
        "expiresAt": null,
        "lastUsedAt": "2026-11-21T20:05:00Z",
        "revokedAt": null,
    });
    let mut made = key.clone();
    made["key"] = "scrim_97f3a91c2e5d8b04_b6c1…".into();
    let list = operation("get", "/keys", "keys", "List API keys")
        .about("Without their secrets: those are known to nobody after the key was made.")
        .by(Who::Admin)
        .gives::<keys::routes::List>(
            200,
            "All keys, newest first.",
            json!({ "keys": [key.clone()] }),
        );
    let create = operation("post", "/keys", "keys", "Make an API key")
        .about("The key is shown once. At most 1,000 keys.")
        .by(Who::Admin)
        .takes::<keys::routes::Ask>(json!({ "name": "encoder in studio 2", "role": "service" }))
        .gives::<keys::routes::Made>(201, "The key, for this once.", made)
        .may(409, "There are 1,000 keys already; `too-many-keys`.");
    let revoke = operation("delete", "/keys/{key}", "keys", "Revoke an API key")
        .about("At once in this process, within seconds in others on the same database.")
        .by(Who::Admin)
        .gives::<keys::routes::Listed>(200, "The key, which opens nothing any more.", key)
        .may(404, "There is no such key; `unknown-key`.");
    vec![list, create, revoke]
}

fn server() -> Vec<Operation> {
    let report = json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": 3600.5,
        "censorshipEnabled": true,
        "livekit": { "state": "up", "latencyMs": 1.2 },
        "database": { "state": "up", "backend": "sqlite", "latencyMs": 0.2, "waiting": 0, "lost": 0 },
        "detectors": [
            { "name": "nudenet-320n", "state": "up", "provider": "cpu", "queueDepth": 0, "latencyMs": 21.4 },
        ],
        "streams": { "active": 1 },
        "load": { "cpuBusyRatio": 0.2, "detectBusyRatio": 0.1, "memoryAvailableBytes": 4_000_000_000_u64 },
        "process": { "residentBytes": 180_000_000, "threads": 21, "openFds": 44, "cpuSeconds": 12.5 },
    });
    let index = operation("get", "/", "server", "What there is to call")
        .by(Who::Anyone)
        .gives::<Value>(200, "Name, version and routes.", json!({ "name": "scrim" }));
    let health = operation("get", "/health", "server", "Each dependency with its state")
        .by(Who::Exempt)
        .gives::<health::Report>(200, "All is well.", report.clone())
        .gives::<health::Report>(503, "Something is not; the body says what.", report);
    let live = operation("get", "/health/live", "server", "Whether the process answers")
        .by(Who::Exempt)
        .gives::<health::Short>(200, "It does.", json!({ "status": "ok" }));
    let ready = operation("get", "/health/ready", "server", "Whether a stream can be started")
        .by(Who::Exempt)
        .gives::<health::Short>(200, "It can.", json!({ "status": "ready" }))
        .gives::<health::Short>(503, "Starting or stopping.", json!({ "status": "starting" }));
    let metrics = operation("get", "/metrics", "server", "Metrics for Prometheus")
        .about("Open to anyone or to operators, as `access.metrics` says. OpenMetrics on request.")
        .by(Who::Configured)
        .gives_text("text/plain", "Prometheus text.", "scrim_queue_depth{queue=\"release\"} 0\n");
    let description = operation("get", "/openapi.json", "server", "This description")
        .by(Who::Exempt)
        .gives::<Value>(200, "OpenAPI 3.1.", json!({ "openapi": "3.1.0" }));
    let docs = operation("get", "/docs", "server", "This description as a page")
        .by(Who::Exempt)
        .gives_text("text/html", "The page.", "<!doctype html>");
    vec![index, health, live, ready, metrics, description, docs]
}
