//! Chromium, the page it shows, and what the page says.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::{Json, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Without a screen, a card, an account or anything over the network but what the page asks for;
/// no sandbox, since it may run as root and sees this page only.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--no-first-run",
    "--window-size=1300,1000",
];
/// The page reports every second; when it has not for so long, it is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// What the page saw of one stream, all told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Seen {
    /// Pictures that it looked at.
    pub(crate) pictures: u64,
    /// Pictures that were shown.
    pub(crate) presented: u64,
    /// Of those looked at: the mark says that the pattern is there.
    pub(crate) marked: u64,
    /// The mark says that it is not.
    pub(crate) unmarked: u64,
    /// The mark is covered.
    pub(crate) unreadable: u64,
    /// The pattern can be seen.
    pub(crate) leaks: u64,
    /// Highest standard deviation where the pattern is covered.
    pub(crate) most: f64,
    /// RTP time did not rise.
    pub(crate) backward: u64,
    /// Another size.
    pub(crate) odd: u64,
}

/// What the browser says of its receiver (W3C WebRTC statistics, inbound RTP stream), all told.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rtp {
    pub(crate) frames_received: u64,
    pub(crate) frames_decoded: u64,
    pub(crate) frames_dropped: u64,
    pub(crate) key_frames_decoded: u64,
    pub(crate) freeze_count: u64,
    pub(crate) total_freezes_duration: f64,
    pub(crate) pli_count: u64,
    pub(crate) nack_count: u64,
    pub(crate) packets_lost: i64,
    pub(crate) jitter_buffer_delay: f64,
    pub(crate) jitter_buffer_emitted_count: u64,
}

/// One stream in the page.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct View {
    pub(crate) seen: Seen,
    pub(crate) rtp: Rtp,
}

/// Everything that the page says.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Report {
    /// In the order of the streams.
    pub(crate) reports: Vec<View>,
    errors: Vec<String>,
}

const SCRIPT: (HeaderName, &str) = (CONTENT_TYPE, "text/javascript");

/// What is served, and where what comes back goes.
struct Site {
    streams: serde_json::Value,
    library: String,
    reports: watch::Sender<Report>,
}

/// Chromium with the page. Dropping it ends both.
pub(crate) struct Browser {
    process: Child,
    profile: PathBuf,
    reports: watch::Receiver<Report>,
}

impl Browser {
    /// Serves the page on a free port, and shows it.
    pub(crate) async fn open(streams: serde_json::Value) -> anyhow::Result<Self> {
        let library = std::env::var_os("SOAK_LIVEKIT_CLIENT").map(PathBuf::from);
        let library = library.context("SOAK_LIVEKIT_CLIENT names no livekit-client.umd.js")?;
        let library = std::fs::read_to_string(&library)
            .with_context(|| format!("cannot read {}", library.display()))?;
        let (sender, reports) = watch::channel(Report::default());
        let site = Arc::new(Site { streams, library, reports: sender });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router(site)).await });
        let profile = std::env::temp_dir().join(format!("scrim-soak-{}", std::process::id()));
        let program = std::env::var_os("SOAK_CHROMIUM").unwrap_or_else(|| "chromium".into());
        let mut command = Command::new(&program);
        command
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("SOAK_CHROMIUM_LOG").is_some() {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            // Its own group, so that all its processes can be ended at once.
            .process_group(0);
        let process = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
        Ok(Self { process, profile, reports })
    }

    /// The next thing that the page says.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Report> {
        let said = tokio::time::timeout(SILENCE, self.reports.changed()).await;
        said.context("the page says nothing any more")?.context("the page is not served")?;
        let report = self.reports.borrow_and_update().clone();
        anyhow::ensure!(report.errors.is_empty(), "the page: {}", report.errors.join("; "));
        Ok(report)
    }

    /// The last thing that it said.
    pub(crate) fn last(&self) -> Report {
        self.reports.borrow().clone()
    }

    /// The first thing that it says from `at` on.
    pub(crate) async fn after(&mut self, at: Instant) -> anyhow::Result<Report> {
        loop {
            let report = self.next().await?;
            if Instant::now() >= at {
                return Ok(report);
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/livekit-client.js", get(library))
        .route("/streams", get(streams))
        .route("/report", post(report))
        .with_state(site)
}

async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

async fn script() -> impl IntoResponse {
    ([SCRIPT], include_str!("page.js"))
}

async fn library(State(site): State<Arc<Site>>) -> impl IntoResponse {
    ([SCRIPT], site.library.clone())
}

async fn streams(State(site): State<Arc<Site>>) -> Json<serde_json::Value> {
    Json(site.streams.clone())
}

async fn report(State(site): State<Arc<Site>>, Json(report): Json<Report>) {
    site.reports.send_replace(report);
}
