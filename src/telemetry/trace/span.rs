//! Spans, and how OTLP writes them in JSON.
//!
//! The mapping is that of the OpenTelemetry protocol, version 1 (`ExportTraceServiceRequest`): ids
//! in hex, numbers of 64 bits and times in nanoseconds as text.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// A part of a trace that is over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// The trace; a stream's id.
    pub(super) trace: u128,
    /// Its own id, not zero.
    pub(super) id: u64,
    /// The span that it is a part of; `None`: of the whole trace.
    pub(super) parent: Option<u64>,
    /// What it is.
    pub(super) name: &'static str,
    /// When it began.
    pub(super) start: SystemTime,
    /// When it was over.
    pub(super) end: SystemTime,
    /// What else is known.
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Words.
    Text(String),
    /// A number of things.
    Count(u64),
}

impl Span {
    fn json(&self) -> Json {
        let mut span = json!({
            "traceId": format!("{:032x}", self.trace),
            "spanId": format!("{:016x}", self.id),
            "name": self.name,
            "kind": INTERNAL,
            "startTimeUnixNano": nanos(self.start),
            "endTimeUnixNano": nanos(self.end),
            "attributes": attributes(&self.attributes),
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = json!(format!("{parent:016x}"));
        }
        if let Some(error) = &self.error {
            span["status"] = json!({ "code": ERROR, "message": error });
        }
        span
    }
}

/// The body of a request that hands `spans` over, made by the service named.
pub(super) fn request(service: &str, spans: &[Span]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        ("service.name", Value::Text(service.to_owned())),
        ("service.version", Value::Text(version.to_owned())),
    ];
    json!({
        "resourceSpans": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeSpans": [{
                "scope": { "name": "scrim", "version": version },
                "spans": spans.iter().map(Span::json).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn attributes(pairs: &[(&str, Value)]) -> Vec<Json> {
    let one = |(key, value): &(&str, Value)| {
        let value = match value {
            Value::Text(text) => json!({ "stringValue": text }),
            Value::Count(count) => json!({ "intValue": count.to_string() }),
        };
        json!({ "key": key, "value": value })
    };
    pairs.iter().map(one).collect()
}

fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn spans_are_written_as_the_protocol_has_them() {
        let start = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let span = Span {
            trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            id: 0xb7ad,
            parent: Some(0x1),
            name: "join",
            start,
            end: start + Duration::from_millis(20),
            attributes: vec![("frames", Value::Count(u64::MAX))],
            error: Some("no room".into()),
        };
        let body = request("stage", &[span]);
        let resource = &body["resourceSpans"][0];
        let named = &resource["resource"]["attributes"][0];
        assert_eq!(named, &json!({ "key": "service.name", "value": { "stringValue": "stage" } }));
        assert_eq!(
            resource["scopeSpans"][0]["spans"],
            json!([{
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": "000000000000b7ad",
                "parentSpanId": "0000000000000001",
                "name": "join",
                "kind": 1,
                "startTimeUnixNano": "1700000000123456789",
                "endTimeUnixNano": "1700000000143456789",
                "attributes": [{
                    "key": "frames", "value": { "intValue": "18446744073709551615" },
                }],
                "status": { "code": 2, "message": "no room" },
            }])
        );
    }
}
