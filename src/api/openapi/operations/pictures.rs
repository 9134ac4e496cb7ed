//! Pictures, texts and frames that are sent to the API.

use schemars::JsonSchema as _;
use serde_json::{Value, json};

use crate::api::openapi::operation::{Operation, operation};
use crate::api::pictures::{CheckText, Where};
use crate::censor::Document;
use crate::frames::Stats;
use crate::inspect::Report;

pub(super) fn all() -> Vec<Operation> {
    vec![check(), process(), stats(), live(), upload()]
}

fn report() -> Value {
    json!({
        "width": 1280,
        "height": 720,
        "covered": [{
            "kind": "class",
            "label": "FEMALE_BREAST_EXPOSED",
            "score": 0.83,
            "threshold": 0.25,
            "box": { "x": 412.0, "y": 180.5, "width": 96.0, "height": 90.0 },
            "action": "blur",
        }],
        "passed": [{
            "kind": "class",
            "label": "FACE_FEMALE",
            "score": 0.71,
            "box": { "x": 430.0, "y": 40.0, "width": 80.0, "height": 96.0 },
            "reason": "allowed",
        }],
        "text": [],
    })
}

fn form(required: &[&str]) -> Value {
    let rules = Document::schema_name();
    json!({
        "type": "object",
        "properties": {
            "picture": { "type": "string", "format": "binary", "description": "JPEG, PNG or WebP." },
            "text": { "type": "string", "description": "A text of at most 65,536 bytes." },
            "rules": { "$ref": format!("#/components/schemas/{rules}") },
            "roomName": { "type": "string", "minLength": 3, "maxLength": 50 },
            "replace": { "type": "boolean", "default": false },
        },
        "required": required,
        "additionalProperties": false,
    })
}

/// What both routes share: a picture as the whole body, and what can be wrong with it.
fn pictures(operation: Operation) -> Operation {
    let picture = json!({ "type": "string", "format": "binary" });
    ["image/jpeg", "image/png", "image/webp"]
        .into_iter()
        .fold(operation, |operation, kind| operation.takes_also(kind, picture.clone()))
        .query::<Where>()
        .gives::<Report>(200, "What is covered, what was let through, and why.", report())
        .also("image/jpeg", "(the censored picture)")
        .also("image/png", "(the censored picture)")
        .may(413, "The picture is larger than `pictures.max_bytes`; `too-large`.")
        .may(415, "The body is no picture, form or JSON; `unsupported-media-type`.")
        .may(
            422,
            "A side is longer than `pictures.max_side`, the picture is damaged or animated, or the \
             rules make no sense; `invalid-request`.",
        )
        .may(
            503,
            "So many pictures are being looked at already: `busy`. Or the detectors cannot be \
             asked: `detector-unavailable`. Or shutting down: `unavailable`.",
        )
        .may(504, "The detectors did not answer within `pictures.time_ms`; `timeout`.")
}

fn check() -> Operation {
    let operation = operation(
        "post",
        "/censorship/rules/check",
        "rules",
        "Try rules on a picture or a text",
    )
    .about(
        "What would be covered and why, under the rules that hold in a room or with `rules` on \
         top; with `replace`, in the place of what is kept for the room, as if they were saved. \
         Nothing is kept and nothing changes. With `Accept: image/*` the censored picture. \
         `start` and `end` count Unicode characters. Counts against the strict limit.",
    )
    .takes::<CheckText>(json!({
        "text": "You d4mn fool",
        "rules": { "text": { "enabled": true } },
    }))
    .takes_also("multipart/form-data", form(&[]));
    pictures(operation)
}

fn process() -> Operation {
    let operation = operation("post", "/process/frame", "pictures", "Look at one picture")
        .about(
            "One picture in; what is found as JSON, or the censored picture with `Accept: image/*` \
             (JPEG; PNG for `image/png`). The picture is turned upright first, and what is \
             transparent stands on white. Streams of rooms go first.",
        )
        .takes_also("multipart/form-data", form(&["picture"]));
    pictures(operation)
}

fn stats() -> Operation {
    let frames = json!({ "received": 120, "processed": 118, "dropped": 2, "failed": 0 });
    operation("get", "/streaming/stats", "pictures", "Sessions of frames").gives::<Stats>(
        200,
        "The open sessions, and what was done since the start of the process.",
        json!({
            "active": 1,
            "maxSessions": 10,
            "memoryBytes": 51_200,
            "maxMemoryBytes": 2_147_483_648_u64,
            "idleSeconds": 300,
            "frames": frames,
            "sessions": [{
                "sessionId": "cam-1",
                "kind": "live",
                "startedAt": "2026-11-21T20:00:00Z",
                "silentSeconds": 0.04,
                "memoryBytes": 51_200,
                "frames": frames,
            }],
        }),
    )
}

/// What every socket may be refused for.
fn socket(operation: Operation) -> Operation {
    operation
        .gives_nothing(101, "The socket is open.")
        .may(404, "Sessions of frames are switched off; `switched-off`.")
        .may(426, "The request asks for no WebSocket; `upgrade-required`.")
        .may(503, "So many sessions are open already: `too-many-sessions`; or shutting down.")
}

fn live() -> Operation {
    let operation =
        operation("get", "/ws/stream/{sessionId}", "pictures", "Frames one by one (WebSocket)")
            .about(
                "Each binary message is a picture; it is answered by its verdict (JSON, with \
                 `frameId` counted from 1) and then the censored picture (JPEG). At most ten wait: \
                 then the oldest is given up (`{\"frameId\": n, \"dropped\": true}`). Browsers offer the \
                 protocols `scrim` and `bearer.TOKEN`. See docs/API.md.",
            )
            .query::<Where>();
    socket(operation).may(409, "A session of that name is open; `session-taken`.")
}

fn upload() -> Operation {
    let operation =
        operation("get", "/stream", "pictures", "Frames to a censored video (WebSocket)").about(
            "SESSION_START, then each FRAME (JSON, then a binary message) is acknowledged, then \
             SESSION_END; the result is a report (JSON) and the censored video (MP4, in binary \
             messages). See docs/API.md.",
        );
    socket(operation)
}
