//! Rules, and what people say of what they did.

use serde_json::json;

use super::ID;
use crate::api::openapi::operation::{Operation, operation};
use crate::api::{feedback, versions};
use crate::censor::Document;

pub(super) fn all() -> Vec<Operation> {
    let about = "The global ones lie over those of the configuration, a room's own over both.";
    let global = rules_of("/censorship/rules", ["Read", "Replace", "Take away"], about);
    let room = rules_of(
        "/censorship/rules/{room}",
        ["Read a room's", "Replace a room's", "Take away a room's"],
        about,
    );
    [global, room, vec![versions()], feedback()].concat()
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
        .header("If-Match", IF_MATCH, &json!({ "type": "string" }))
        .takes::<Document>(example.clone())
        .gives::<Document>(200, "The rules, in effect.", example)
        .with(&["ETag"])
        .may(412, changed);
    let delete = delete
        .header("If-Match", IF_MATCH, &json!({ "type": "string" }))
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

fn versions() -> Operation {
    operation("get", "/censorship/versions", "rules", "List what rules were")
        .about(
            "The newest 100 of each scope. To bring one back, PUT its document with the current \
             ETag in If-Match.",
        )
        .query::<versions::Filter>()
        .gives::<versions::Page>(
            200,
            "A page, newest first.",
            json!({
                "versions": [{
                    "version": 7,
                    "at": "2026-11-21T20:00:00Z",
                    "actor": "olga",
                    "document": { "padding": 0.2, "mode": "verified" },
                }],
                "nextBefore": 7,
            }),
        )
}

const IF_MATCH: &str = "The ETag that was read: what others changed meanwhile is not overwritten.";

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
