//! A stream as an OpenTelemetry trace: join, first frame, first verdict, first release, and each
//! time that its pictures were encoded instead of forwarded. Sent as OTLP over HTTP in JSON.
//!
//! The trace's id is the stream's. Spans go through one bounded queue ([`QUEUE`]); when it is full
//! they are dropped and counted, and nobody waits. Without an endpoint nothing is made at all.
//!
//! Five moments of a stream and a page of JSON: the OpenTelemetry crates, made for spans around
//! code, are left out.

mod export;
mod span;
mod stream;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

pub use export::{Endpoint, Exporter, InvalidEndpoint, SetUp};
pub use stream::{Milestone, Splices, StreamTrace};

use self::span::{Span, Value};
use super::Metrics;
use super::labels::Fate;

/// Spans that wait to be sent; some hundred streams that start at once. When full, new ones are
/// dropped.
pub const QUEUE: usize = 1_024;

/// Takes spans; clones share the queue.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Sink>);

#[derive(Clone, Debug)]
struct Sink {
    spans: mpsc::Sender<Span>,
    dropped: Counter,
}

/// A tracer, and what sends its spans to `endpoint` in the name of `service`; off when there is no
/// endpoint.
///
/// # Errors
///
/// When the endpoint is none, or TLS cannot be set up.
pub fn open(
    endpoint: &str,
    service: &str,
    metrics: &Metrics,
) -> Result<(Tracer, Option<Exporter>), SetUp> {
    if endpoint.is_empty() {
        return Ok((Tracer::default(), None));
    }
    let [sent, dropped] = [Fate::Sent, Fate::Dropped].map(|fate| metrics.spans(fate).clone());
    let (tracer, spans) = Tracer::new(dropped.clone());
    let exporter = Exporter::new(endpoint, service, spans, (sent, dropped))?;
    Ok((tracer, Some(exporter)))
}

impl Tracer {
    /// A tracer, and the reader of its spans. Those that find no room are counted in `dropped`.
    fn new(dropped: Counter) -> (Self, mpsc::Receiver<Span>) {
        let (spans, reader) = mpsc::channel(QUEUE);
        (Self(Some(Sink { spans, dropped })), reader)
    }

    /// Hands a span over. Never waits.
    fn take(&self, span: Span) {
        if let Some(sink) = &self.0
            && sink.spans.try_send(span).is_err()
        {
            sink.dropped.inc();
        }
    }

    fn is_on(&self) -> bool {
        self.0.is_some()
    }
}
