//! Tokens and keys, webhooks, events.

use serde_json::json;

use crate::api::openapi::operation::{Operation, Who, operation};
use crate::api::{keys, monitor, tokens};

pub(super) fn all() -> Vec<Operation> {
    [tokens(), keys()].concat()
}

fn tokens() -> Vec<Operation> {
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
    let watching =
        operation("post", "/token/monitor", "tokens", "Get tokens to look after streams")
            .about(
                "For those who run streams: each opens the processed room of one stream, unseen by \
             viewers and counted nowhere. Up to 200 rooms in one call.",
            )
            .takes::<monitor::Ask>(json!({ "roomNames": ["stage-1"] }))
            .gives::<monitor::Answer>(
                200,
                "The tokens.",
                json!({
                    "wsUrl": "wss://livekit.example",
                    "tokens": [{
                        "roomName": "stage-1",
                        "processedRoom": "stage-1-processed",
                        "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtb25pdG9yIn0.c2lnbmF0dXJl",
                    }],
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
            &json!({ "type": "string" }),
        )
        .gives_text(
            "text/event-stream",
            "Events without end.",
            "id: 0198c0de-1\nevent: detector.recovered\ndata: {\"type\":\"detector.recovered\",\"detector\":\"nudenet\"}\n\n",
        );
    vec![token, watching, webhook, events]
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
        .leads_to(
            "revoke",
            "delete-keys-key",
            json!({ "parameters": { "key": "$response.body#/id" } }),
        )
        .may(409, "There are 1,000 keys already; `too-many-keys`.");
    let revoke = operation("delete", "/keys/{key}", "keys", "Revoke an API key")
        .about("At once in this process, within a second in others on the same database.")
        .by(Who::Admin)
        .gives::<keys::routes::Listed>(200, "The key, which opens nothing any more.", key)
        .may(404, "There is no such key; `unknown-key`.");
    vec![list, create, revoke]
}
