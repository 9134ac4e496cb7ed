//! Sends spans to a collector: OTLP over HTTP, in JSON.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Span;
use super::span::request;
use crate::runtime::Exit;

/// Spans in one request.
const BATCH: usize = 256;
/// How long the collector may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How often a request is tried; then its spans are dropped. While it is tried, others wait in the
/// queue.
const TRIES: u32 = 5;
/// How long what waits may take to be sent at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where a collector takes traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

/// It is no address of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be http:// or https:// and name a host, as in http://127.0.0.1:4318")]
pub struct InvalidEndpoint;

impl std::str::FromStr for Endpoint {
    type Err = InvalidEndpoint;

    /// As in `OTEL_EXPORTER_OTLP_ENDPOINT`: `/v1/traces` is added.
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let url: reqwest::Url = text.parse().map_err(|_| InvalidEndpoint)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
            return Err(InvalidEndpoint);
        }
        Ok(Self(format!("{}/v1/traces", text.trim_end_matches('/'))))
    }
}

/// Why there is no exporter.
#[derive(Debug, thiserror::Error)]
pub enum SetUp {
    /// The endpoint is none.
    #[error("telemetry.otlp_endpoint {0}")]
    Endpoint(#[from] InvalidEndpoint),
    /// TLS cannot be set up.
    #[error("cannot set up calls of the collector of traces")]
    Client(#[from] reqwest::Error),
}

/// Who takes spans, and in whose name they are sent.
#[derive(Debug)]
struct Collector {
    endpoint: Endpoint,
    service: String,
    client: reqwest::Client,
}

/// How fast spans are sent.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long the first span of a request may wait for company.
    linger: Duration,
    /// The pause before the second try; it doubles with each.
    pause: Duration,
}

const PACE: Pace = Pace { linger: Duration::from_secs(2), pause: Duration::from_secs(1) };

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// It may be taken later.
    #[error("{0}")]
    Passing(String),
    /// It will never be.
    #[error("the collector says {0}")]
    Final(StatusCode),
}

/// Reads spans and sends them.
#[derive(Debug)]
pub struct Exporter {
    collector: Collector,
    spans: mpsc::Receiver<Span>,
    sent: Counter,
    dropped: Counter,
    pace: Pace,
    /// Whether the last request was taken, so that each change is one log line.
    well: bool,
}

impl Exporter {
    /// Sends what comes out of `spans` to `endpoint` in the name of `service`, and counts it.
    pub(super) fn new(
        endpoint: &str,
        service: &str,
        spans: mpsc::Receiver<Span>,
        (sent, dropped): (Counter, Counter),
    ) -> Result<Self, SetUp> {
        let endpoint = endpoint.parse()?;
        let client = reqwest::Client::builder().timeout(LIMIT).build()?;
        let collector = Collector { endpoint, service: service.to_owned(), client };
        Ok(Self { collector, spans, sent, dropped, pace: PACE, well: true })
    }

    /// Runs until `stop`; then sends what waits, if that takes no longer than a second.
    pub async fn run(mut self, stop: CancellationToken) -> Exit {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                sent = self.turn(&mut batch) => Some(sent),
            };
            match sent {
                Some(true) => {}
                Some(false) => return Exit::Cancelled,
                None => break,
            }
        }
        while batch.len() < super::QUEUE
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        if !batch.is_empty() {
            let last = tokio::time::timeout(FAREWELL, post(&self.collector, &batch));
            self.count(matches!(last.await, Ok(Ok(()))), batch.len());
        }
        Exit::Cancelled
    }

    /// Fills the batch, sends it and empties it; false when nobody makes spans any more. What is
    /// in the batch when this is given up is still there.
    async fn turn(&mut self, batch: &mut Vec<Span>) -> bool {
        if batch.is_empty() {
            match self.spans.recv().await {
                Some(span) => batch.push(span),
                None => return false,
            }
        }
        let _ = tokio::time::timeout(self.pace.linger, async {
            while batch.len() < BATCH
                && let Some(span) = self.spans.recv().await
            {
                batch.push(span);
            }
        })
        .await;
        let taken = self.send(batch).await;
        self.count(taken, batch.len());
        batch.clear();
        true
    }

    /// Whether the collector has taken them, at the latest try.
    async fn send(&mut self, batch: &[Span]) -> bool {
        let mut pause = self.pace.pause;
        for left in (0..TRIES).rev() {
            match post(&self.collector, batch).await {
                Ok(()) => {
                    if !self.well {
                        tracing::info!("traces are taken again");
                    }
                    self.well = true;
                    return true;
                }
                Err(refusal) => {
                    if self.well {
                        tracing::warn!(%refusal, "traces are not taken");
                    }
                    self.well = false;
                    if left == 0 || matches!(refusal, Refusal::Final(_)) {
                        return false;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        false
    }

    fn count(&self, taken: bool, spans: usize) {
        if taken { &self.sent } else { &self.dropped }.inc_by(spans as u64);
    }
}

async fn post(to: &Collector, spans: &[Span]) -> Result<(), Refusal> {
    let request = to
        .client
        .post(&to.endpoint.0)
        .header("content-type", "application/json")
        .body(request(&to.service, spans).to_string());
    // The address may hold a key of the operator's.
    let answer = request.send().await.map_err(|e| Refusal::Passing(e.without_url().to_string()))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        // The protocol's list of what may be tried again.
        status if [429, 502, 503, 504].contains(&status.as_u16()) => {
            Err(Refusal::Passing(format!("the collector says {status}")))
        }
        status => Err(Refusal::Final(status)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use tokio::net::TcpListener;

    use super::super::{Milestone, Tracer};
    use super::*;
    use crate::media::clock;

    /// A collector that answers with the statuses given, last first, then with 200; it tells of
    /// each request.
    #[derive(Clone)]
    struct Taker {
        answers: Arc<Mutex<Vec<StatusCode>>>,
        told: mpsc::UnboundedSender<(StatusCode, serde_json::Value)>,
    }

    async fn collect(State(collector): State<Taker>, body: String) -> StatusCode {
        let answer = collector.answers.lock().unwrap().pop().unwrap_or(StatusCode::OK);
        collector.told.send((answer, serde_json::from_str(&body).unwrap())).unwrap();
        answer
    }

    type Requests = mpsc::UnboundedReceiver<(StatusCode, serde_json::Value)>;

    /// Runs `story` with a tracer whose spans go to a collector that answers with `answers`; then
    /// how many were sent and dropped.
    async fn with<F: Future<Output = ()>>(
        answers: &[StatusCode],
        story: impl FnOnce(Tracer, CancellationToken, Requests) -> F,
    ) -> (u64, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (told, requests) = mpsc::unbounded_channel();
        let collector = Taker { answers: Arc::new(Mutex::new(answers.to_vec())), told };
        let router = Router::new().route("/v1/traces", post(collect)).with_state(collector);
        let (sent, dropped) = (Counter::default(), Counter::default());
        let (tracer, spans) = Tracer::new(dropped.clone());
        let mut exporter =
            Exporter::new(&endpoint, "scrim", spans, (sent.clone(), dropped.clone())).unwrap();
        exporter.pace = Pace { linger: Duration::from_millis(1), pause: Duration::from_millis(1) };
        let stop = CancellationToken::new();
        let run = async {
            tokio::join!(exporter.run(stop.clone()), story(tracer, stop.clone(), requests));
        };
        let server = std::future::IntoFuture::into_future(axum::serve(listener, router));
        tokio::select! {
            ended = server => panic!("{ended:?}"),
            () = run => (sent.get(), dropped.get()),
        }
    }

    fn begin(tracer: &Tracer) {
        let now = (clock::now(), std::time::SystemTime::now());
        tracer.stream(7, "stage", now).reach(Milestone::Joined, clock::now());
    }

    #[tokio::test]
    async fn what_waits_at_the_end_is_sent() {
        let counts = with(&[], |tracer, stop, mut requests| async move {
            begin(&tracer);
            begin(&tracer);
            stop.cancel();
            let (_, body) = requests.recv().await.unwrap();
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            assert_eq!((&spans[0]["name"], spans.as_array().unwrap().len()), (&"join".into(), 2));
        });
        assert_eq!(counts.await, (2, 0));
    }

    #[tokio::test]
    async fn a_busy_collector_is_asked_again_and_a_refusal_is_final() {
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        let answers = [StatusCode::BAD_REQUEST, busy, busy];
        let counts = with(&answers, |tracer, _, mut requests| async move {
            begin(&tracer);
            for answer in [busy, busy, StatusCode::BAD_REQUEST] {
                assert_eq!(requests.recv().await.unwrap().0, answer);
            }
            begin(&tracer);
            assert_eq!(requests.recv().await.unwrap().0, StatusCode::OK);
            // The last tracer is gone: so is the exporter, with nothing more to send.
            drop(tracer);
        });
        assert_eq!(counts.await, (1, 1));
    }

    #[test]
    fn endpoints_are_those_of_the_usual_variable() {
        let url = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.0);
        assert_eq!(url("http://127.0.0.1:4318").unwrap(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("https://collector/otlp/").unwrap(), "https://collector/otlp/v1/traces");
        for bad in ["", "collector:4318", "ftp://collector", "http://", "/v1", "http://a?b=c"] {
            assert_eq!(url(bad), Err(InvalidEndpoint), "{bad}");
        }
    }
}
