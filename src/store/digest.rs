//! Detections put together for the operator's server: one message a stream and ten seconds, not one
//! a class and second. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Detection, News};

/// How long detections are put together.
const EVERY: Duration = Duration::from_secs(10);
/// Streams at once; what is found in further ones is told on its own.
const STREAMS: usize = 1_000;

/// What was found in one stream since the last message.
#[derive(Debug)]
struct Found {
    since: Instant,
    room: String,
    classes: BTreeMap<String, Class>,
}

#[derive(Debug, Default)]
struct Class {
    detections: u64,
    findings: u64,
    best: f64,
}

/// What was found and not told yet.
#[derive(Debug, Default)]
pub(super) struct Digest(BTreeMap<Uuid, Found>);

impl Digest {
    /// Takes a detection.
    pub(super) fn add(&mut self, one: &Detection, now: Instant) -> Option<News> {
        let full = self.0.len() >= STREAMS && !self.0.contains_key(&one.stream_id);
        let found = self.0.entry(one.stream_id).or_insert_with(|| Found {
            since: now,
            room: one.room.clone(),
            classes: BTreeMap::new(),
        });
        let class = found.classes.entry(one.class.clone()).or_default();
        class.detections += 1;
        class.findings += one.findings;
        class.best = class.best.max(one.score);
        if full { self.end(one.stream_id) } else { None }
    }

    /// What is to be told now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<News> {
        let old = |found: &Found| now.saturating_duration_since(found.since) >= EVERY;
        let due: Vec<Uuid> =
            self.0.iter().filter(|(_, found)| old(found)).map(|(stream, _)| *stream).collect();
        due.into_iter().filter_map(|stream| self.end(stream)).collect()
    }

    /// What is left of a stream that ends.
    pub(super) fn end(&mut self, stream: Uuid) -> Option<News> {
        let Found { room, classes, .. } = self.0.remove(&stream)?;
        let classes: Map<String, Value> = classes
            .into_iter()
            .map(|(name, Class { detections, findings, best })| {
                let told =
                    json!({ "detections": detections, "findings": findings, "bestScore": best });
                (name, told)
            })
            .collect();
        let fields = [
            ("streamId".to_owned(), json!(stream)),
            ("roomName".to_owned(), json!(room)),
            ("classes".to_owned(), Value::Object(classes)),
        ];
        Some(News::new("detections", Map::from_iter(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clock;
    use crate::store::Kind;

    #[test]
    fn ten_seconds_of_a_stream_are_one_message() {
        let (mut digest, now, stream) = (Digest::default(), clock::now(), Uuid::now_v7());
        for (class, score) in [("A", 0.5), ("B", 0.25), ("A", 0.75)] {
            let id = Uuid::now_v7();
            let one = Detection {
                id,
                at: crate::store::at(id),
                stream_id: stream,
                room: "stage".into(),
                kind: Kind::Object,
                class: class.into(),
                score,
                bbox: [0.0; 4],
                frame: 0,
                findings: 10,
                rule: None,
                has_thumbnail: false,
            };
            assert_eq!(digest.add(&one, now), None);
        }
        assert!(digest.due(now + EVERY / 2).is_empty());
        let news = digest.due(now + EVERY);
        let body: Value = serde_json::from_str(&news[0].body).unwrap();
        let a = json!({ "detections": 2, "findings": 20, "bestScore": 0.75 });
        assert_eq!((&body["classes"]["A"], &body["roomName"]), (&a, &json!("stage")));
        assert_eq!((&body["type"], &body["id"]), (&json!("detections"), &json!(news[0].id)));
        assert!(digest.due(now + 2 * EVERY).is_empty(), "told once");
    }
}
