//! Tells the operator's own server what happens: signed, tried again, at least once.
//!
//! What is to be told is in the database (`store::outbox`) from the moment it happened; this only
//! sends it. Whoever receives it checks the signature and forgets ids that it has seen.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use crate::config::{Notify, Secret};
use crate::runtime::Exit;
use crate::store::{News, Store};
use crate::telemetry::{Metrics, Notice};

/// How often it is looked for news.
const EVERY: Duration = Duration::from_secs(1);
/// News of one look; they are sent one after the other.
const BATCH: u64 = 32;
/// How long the operator's server may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The wait after the first failure, before jitter; it doubles, up to the longest.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(3_600);
/// Attempts before it is given up: about a day.
const ATTEMPTS: u32 = 36;
/// Longest part of an error that is kept, in bytes.
const ERROR_MAX: usize = 200;

/// The header with the time and the signature: `t=SECONDS,v1=HEX`.
pub const SIGNATURE: &str = "scrim-signature";

/// Sends news; runs under the supervisor.
#[derive(Debug)]
pub struct Sender {
    store: Store,
    url: String,
    secret: Secret,
    client: reqwest::Client,
    metrics: Metrics,
}

/// Why there is no sender.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up calls of the operator's server")]
pub struct SetUp(#[from] reqwest::Error);

impl Sender {
    /// A sender to the server of the configuration; `None` when none is named.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(store: Store, notify: &Notify, metrics: Metrics) -> Result<Option<Self>, SetUp> {
        if notify.url.is_empty() {
            return Ok(None);
        }
        // A redirect would lead the signed body elsewhere.
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("scrim/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let (url, secret) = (notify.url.clone(), notify.secret.clone());
        Ok(Some(Self { store, url, secret, client, metrics }))
    }

    /// Runs until `stop`. What is not sent by then is sent by the next process.
    pub async fn run(self, stop: CancellationToken) -> Exit {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                _ = tick.tick() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Exit::Cancelled,
                () = self.send_due(Timestamp::now()) => {}
            }
        }
    }

    async fn send_due(&self, now: Timestamp) {
        let due = match self.store.news_due(now, BATCH).await {
            Ok(due) => due,
            Err(error) => return tracing::debug!(%error, "news are not read"),
        };
        for news in due {
            let kept = match self.send(&news).await {
                Ok(()) => {
                    self.metrics.notifications(Notice::Taken).inc();
                    self.store.news_taken(news.id).await
                }
                Err(error) => {
                    let failed = failed(news, &error, fastrand::f64(), now);
                    let outcome =
                        if failed.due_at.is_some() { Notice::Failed } else { Notice::GivenUp };
                    self.metrics.notifications(outcome).inc();
                    if failed.due_at.is_none() {
                        tracing::error!(id = %failed.id, kind = failed.kind, error, "news given up");
                    }
                    self.store.news_failed(&failed).await
                }
            };
            if let Err(error) = kept {
                return tracing::debug!(%error, "what became of news is not kept");
            }
        }
    }

    async fn send(&self, news: &News) -> Result<(), String> {
        let now = Timestamp::now().as_second();
        let signature = sign(self.secret.expose(), now, &news.body);
        let sent = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("scrim-event-id", news.id.to_string())
            .header(SIGNATURE, signature)
            .body(news.body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("answered {}", answer.status())),
            // The address may hold a key of the operator's.
            Err(error) => Err(error.without_url().to_string()),
        }
    }
}

/// What the header says: HMAC-SHA256 with the secret over `SECONDS.BODY`, in hex.
pub fn sign(secret: &str, seconds: i64, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

/// News after one more failure. `entropy` is uniform in 0..1.
fn failed(news: News, error: &str, entropy: f64, now: Timestamp) -> News {
    let attempts = news.attempts + 1;
    let step = FIRST.saturating_mul(1 << news.attempts.min(12)).min(LONGEST);
    let wait = step.mul_f64(0.5 + entropy.clamp(0.0, 1.0) / 2.0);
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_hours(1));
    let mut error = error.to_owned();
    error.truncate(error.floor_char_boundary(ERROR_MAX));
    let due_at = (attempts < ATTEMPTS).then(|| now + wait);
    News { attempts, due_at, error: Some(error), ..news }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use tokio::sync::mpsc;

    use super::*;
    use crate::config::Http;
    use crate::runtime::Supervisor;
    use crate::store::tests::{scratch, server::Folder};

    #[test]
    fn a_signature_is_what_any_library_makes_of_secret_time_and_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let signed = sign("secret", 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(signed, SIGNED);
        assert_ne!(sign("secret", 1_700_000_001, r#"{"a":1}"#), signed);
    }

    const SIGNED: &str =
        "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";

    /// A server that refuses the first call and takes the others.
    async fn receiver() -> (String, mpsc::UnboundedReceiver<(HeaderMap, String)>, Supervisor) {
        let (tell, told) = mpsc::unbounded_channel();
        let calls = Arc::new(AtomicU32::new(0));
        let handler = async move |headers: HeaderMap, body: String| {
            tell.send((headers, body)).unwrap();
            if calls.fetch_add(1, Relaxed) == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/hook", post(handler));
        let mut tasks = Supervisor::new(CancellationToken::new());
        tasks.spawn("receiver", |stop| crate::api::serve(listener, router, Http::default(), stop));
        (url, told, tasks)
    }

    #[tokio::test]
    async fn news_are_sent_signed_until_they_are_taken() {
        let folder = Folder::new();
        let store = scratch(&folder);
        let (url, mut told, _tasks) = receiver().await;
        let notify = Notify { url, secret: "s".into() };
        let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default());
        let sender = Sender::new(store.clone(), &notify, metrics.clone()).unwrap().unwrap();
        let news = News::new("stream.started", serde_json::Map::new());
        store.write(news.insert()).await.unwrap();
        let now = Timestamp::now();
        sender.send_due(now).await;
        let waiting = store.news(true, None, 9).await.unwrap();
        assert_eq!((waiting[0].attempts, waiting[0].id), (1, news.id));
        assert!(waiting[0].error.as_ref().unwrap().contains("502"), "{waiting:?}");
        sender.send_due(now).await;
        sender.send_due(now + SignedDuration::from_secs(3)).await;
        assert_eq!(store.news(true, None, 9).await.unwrap(), []);
        for _ in 0..2 {
            let (headers, body) = told.recv().await.unwrap();
            assert_eq!(body, news.body);
            assert_eq!(headers["scrim-event-id"], news.id.to_string());
            let signature = headers[SIGNATURE].to_str().unwrap();
            let seconds = signature.strip_prefix("t=").unwrap().split(',').next().unwrap();
            assert_eq!(sign("s", seconds.parse().unwrap(), &body), signature);
        }
        assert!(told.try_recv().is_err(), "not before its time, and not again");
        let counts = Notice::ALL.map(|outcome| metrics.notifications(outcome).get());
        assert_eq!(counts, [1, 1, 0]);
    }

    #[tokio::test]
    async fn what_was_given_up_is_listed_and_can_be_tried_again() {
        let folder = Folder::new();
        let store = scratch(&folder);
        let news = News::new("stream.started", serde_json::Map::new());
        store.write(news.insert()).await.unwrap();
        let dead = News { attempts: ATTEMPTS, due_at: None, error: Some("no".into()), ..news };
        store.news_failed(&dead).await.unwrap();
        assert_eq!(store.news(false, None, 9).await.unwrap(), std::slice::from_ref(&dead));
        let now = Timestamp::now();
        assert_eq!(store.news_due(now, 9).await.unwrap(), []);
        assert!(store.news_again(dead.id, now).await.unwrap());
        assert!(!store.news_again(dead.id, now).await.unwrap(), "it is tried already");
        assert_eq!(store.news_due(now, 9).await.unwrap()[0].attempts, 0);
    }

    #[test]
    fn waits_double_up_to_an_hour_and_end_after_a_day() {
        let now = Timestamp::UNIX_EPOCH;
        let mut news = News::new("stream.started", serde_json::Map::new());
        let mut waits = Vec::new();
        let mut all = SignedDuration::ZERO;
        while let Some(due) = {
            news = failed(news, "answered 500", 1.0, now);
            news.due_at
        } {
            all += due.duration_since(now);
            waits.push(due.as_second());
        }
        assert_eq!(waits[..4], [2, 4, 8, 16]);
        assert_eq!(waits.last(), Some(&3_600));
        assert_eq!((news.attempts, news.error.as_deref()), (ATTEMPTS, Some("answered 500")));
        assert!((20..30).contains(&all.as_hours()), "{all:?}");
    }
}
