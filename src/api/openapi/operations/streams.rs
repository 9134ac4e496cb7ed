//! Streams: start, end, look at, cover.

use serde_json::{Value, json};

use super::ID;
use crate::api::openapi::operation::{Operation, operation};
use crate::api::streams;
use crate::session::Summary;

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
        "decoder": "software",
        "encoder": "software",
    })
}

pub(super) fn summary(state: &str) -> Value {
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

pub(super) fn all() -> Vec<Operation> {
    [starts(), looks()].concat()
}

fn starts() -> Vec<Operation> {
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
            &json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$" }),
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
        .leads_to(
            "look",
            "get-streams-id",
            json!({ "parameters": { "id": "$response.body#/streamId" } }),
        )
        .leads_to(
            "cover",
            "post-streams-id-cover",
            json!({
                "parameters": { "id": "$response.body#/streamId" }, "requestBody": { "on": true },
            }),
        )
        .leads_to(
            "end",
            "post-stream-end",
            json!({ "requestBody": { "streamId": "$response.body#/streamId" } }),
        )
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
        .leads_to(
            "look",
            "get-streams-id",
            json!({ "parameters": { "id": "$response.body#/streamId" } }),
        )
        .leads_to(
            "detections",
            "get-censorship-events",
            json!({ "parameters": { "stream": "$response.body#/streamId" } }),
        )
        .may(404, "There never was such a stream; `unknown-stream`.");
    vec![start, end]
}

fn looks() -> Vec<Operation> {
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
