//! What happened: sessions, detections, totals, who changed what.

use serde_json::{Value, json};

use super::ID;
use super::streams::summary;
use crate::api::openapi::operation::{Operation, operation};
use crate::api::{analytics, audit, detections, notifications, streams};

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
        "hasThumbnail": true,
    })
}

pub(super) fn all() -> Vec<Operation> {
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
    let thumbnail =
        operation("get", "/censorship/events/{id}/thumbnail", "events", "See a detection")
            .about(
                "A small picture of what was found and its surroundings, with all that the rules \
                 cover covered: at most 96x72 pixels. Kept for `record.thumbnail_hours`. Counted \
                 apart from other calls: 20 times as many.",
            )
            .gives_text("image/jpeg", "The picture; `Cache-Control: no-store`.", "(a JPEG)")
            .may(404, "No picture of that detection is kept; `unknown-thumbnail`.");
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
    [vec![sessions, detections, thumbnail, room, all, audit], notifications()].concat()
}

fn notifications() -> Vec<Operation> {
    let one = json!({
        "id": ID,
        "at": "2026-11-21T20:00:00Z",
        "type": "stream.ended",
        "attempts": 12,
        "nextAttemptAt": null,
        "error": "the server answered 503",
        "body": { "id": ID, "type": "stream.ended", "streamId": ID },
    });
    let list = operation("get", "/notifications", "events", "List news that did not arrive")
        .about("What your own server (`notify.url`) has not taken: given up, or still tried.")
        .query::<notifications::Filter>()
        .gives::<notifications::Page>(
            200,
            "A page.",
            json!({ "notifications": [one], "nextCursor": null }),
        );
    let retry = operation("post", "/notifications/{id}/retry", "events", "Try news again")
        .gives_nothing(202, "It is tried again soon.")
        .may(404, "Nothing of that id was given up; `unknown-notification`.");
    vec![list, retry]
}
