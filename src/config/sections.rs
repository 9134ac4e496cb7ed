//! The sections of the configuration file, each with its defaults.
//!
//! Every key and default here stands in `config/scrim.toml` too; a test keeps them equal.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Secret;

/// `[livekit]`: the LiveKit server beside which Scrim works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Livekit {
    /// The address this server uses: `ws://`, `wss://`, `http://` or `https://`.
    pub url: String,
    /// The address that clients are told; empty: the same as `url`.
    pub public_url: String,
    /// API key.
    pub api_key: String,
    /// API secret, at least 32 characters.
    pub api_secret: Secret,
    /// Whether a broadcaster's video starts a stream without a call of `/stream/start`.
    pub autostart: bool,
}

impl Default for Livekit {
    fn default() -> Self {
        Self {
            url: "ws://127.0.0.1:7880".into(),
            public_url: String::new(),
            api_key: String::new(),
            api_secret: Secret::default(),
            autostart: true,
        }
    }
}

impl Livekit {
    /// The WebSocket address that clients are told.
    pub fn client_url(&self) -> String {
        let url = if self.public_url.is_empty() { &self.url } else { &self.public_url };
        with_scheme(url, "ws")
    }

    /// The WebSocket address this server connects to.
    pub fn ws_url(&self) -> String {
        with_scheme(&self.url, "ws")
    }

    /// The HTTP address of LiveKit's services.
    pub fn http_url(&self) -> String {
        with_scheme(&self.url, "http")
    }
}

/// `url` with its scheme replaced by `base` (`ws` or `http`), secure when it was, and without a
/// slash at its end.
fn with_scheme(url: &str, base: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let secure = if matches!(scheme, "wss" | "https") { "s" } else { "" };
    format!("{base}{secure}://{}", rest.trim_end_matches('/'))
}

/// `[database]`: what outlives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`. Never printed: it may hold a password.
    pub url: Secret,
    /// Most connections to PostgreSQL.
    pub connections: u32,
    /// How long streams, detections and feedback are kept, in days; 0: for ever.
    pub retention_days: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite:.scrim/data/scrim.db".into(), connections: 8, retention_days: 90 }
    }
}

/// `[notify]`: the operator's own server, which is told what happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// Where to; empty: nowhere.
    pub url: String,
    /// Secret of the signatures, at least 32 characters.
    pub secret: Secret,
}

impl Notify {
    /// Whether there is somebody to tell.
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }
}

/// Who may have something without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Only calls with an operator's or a service's token.
    Operator,
    /// Anyone.
    Anyone,
}

/// `[access]`: who may call what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Secret of the API's bearer tokens (HS256), at least 32 characters.
    pub jwt_secret: Secret,
    /// Who may ask for a viewer's token.
    pub viewer_tokens: Audience,
    /// Who may read `/metrics`.
    pub metrics: Audience,
    /// Where a server that has no API key writes its first one, an operator's, readable by its
    /// owner alone. Empty: none is made.
    pub first_key_file: PathBuf,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            jwt_secret: Secret::default(),
            viewer_tokens: Audience::Operator,
            metrics: Audience::Anyone,
            first_key_file: ".scrim/data/first-key".into(),
        }
    }
}

/// `[limits]`: how often a client may call, and how much may run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Length of the window, in seconds.
    pub window_s: u64,
    /// Requests in a window and client; 0: no limit.
    pub requests: u32,
    /// The same for `/token` and `/stream/start`; 0: no limit.
    pub strict_requests: u32,
    /// Whether the limits of requests hold in development mode too.
    pub in_dev: bool,
    /// Share of the processors that streams may need; past it further ones are refused. 0: no
    /// limit.
    pub max_cpu: f64,
    /// Streams at once; 0: no limit.
    pub max_streams: usize,
    /// Processor cores that a stream is taken to need before one was measured.
    pub stream_cpu: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_s: 900,
            requests: 100,
            strict_requests: 20,
            in_dev: false,
            max_cpu: 0.9,
            max_streams: 0,
            stream_cpu: 0.1,
        }
    }
}

/// `[detect]`: the models and the queue before them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detect {
    /// Path of the ONNX Runtime library.
    pub onnxruntime: PathBuf,
    /// Directory of the model files.
    pub models_dir: PathBuf,
    /// The list of models, with their hashes and classes.
    pub manifest: PathBuf,
    /// The models of the manifest that run: region detectors, and at most one pair for text.
    pub models: Vec<String>,
    /// Execution providers, tried in order: `tensorrt`, `cuda`, `openvino`, `cpu`.
    pub providers: Vec<String>,
    /// GPUs that `cuda` and `tensorrt` use, by number.
    pub devices: Vec<u32>,
    /// Whether `tensorrt` may calculate with 16 bits.
    pub half_precision: bool,
    /// Most memory of a GPU that one session may take, in megabytes; 0: no limit.
    pub gpu_memory_mb: usize,
    /// Sessions of a region detector at once; 0: one for each core, two on each GPU.
    pub workers: usize,
    /// Sessions of each text model at once; 0: one for every two cores.
    pub text_workers: usize,
    /// Threads inside a session.
    pub threads_per_session: usize,
    /// Most pictures in one run of a model.
    pub batch_size: usize,
    /// How long the first picture may wait for company, in milliseconds. CPUs do not wait.
    pub batch_max_wait_ms: u64,
    /// How long one run may take, in milliseconds.
    pub limit_ms: u64,
    /// Failures in a row after which a detector is switched off.
    pub breaker_failures: u32,
    /// How long it stays off before one try, in seconds.
    pub breaker_open_s: u64,
}

impl Default for Detect {
    fn default() -> Self {
        Self {
            onnxruntime: ".scrim/onnxruntime/libonnxruntime.so".into(),
            models_dir: ".scrim/models".into(),
            manifest: "models/manifest.toml".into(),
            models: ["nudenet", "ppocr-det", "ppocr-rec"].map(String::from).to_vec(),
            providers: vec!["cpu".into()],
            devices: vec![0],
            half_precision: true,
            gpu_memory_mb: 0,
            workers: 0,
            text_workers: 0,
            threads_per_session: 1,
            batch_size: 8,
            batch_max_wait_ms: 30,
            limit_ms: 2_000,
            breaker_failures: 5,
            breaker_open_s: 3,
        }
    }
}

/// `[pipeline]`: how frames are watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pipeline {
    /// Analysed frames a second, at least, while there is motion.
    pub processing_fps: f64,
    /// What remains of a lost object's confidence after each frame, 0 to 1.
    pub confidence_decay_rate: f64,
    /// Whether objects are predicted between analysed frames.
    pub kalman_enabled: bool,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self { processing_fps: 5.0, confidence_decay_rate: 0.85, kalman_enabled: true }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Only what a human must act on.
    Error,
    /// And what is degraded.
    Warn,
    /// And what happens, a few lines a stream.
    Info,
    /// And why.
    Debug,
    /// And everything.
    Trace,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For a person at a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// `[log]`: what is written to standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How much.
    pub level: Level,
    /// In what shape.
    pub format: Format,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, format: Format::Pretty }
    }
}

/// `[telemetry]`: where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The collector of OpenTelemetry traces, `http://host:4318`; empty: none.
    pub otlp_endpoint: String,
    /// What this service is called in them.
    pub service_name: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), service_name: "scrim".into() }
    }
}

/// `[shutdown]`: what happens on SIGTERM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long everything has to finish, in seconds; what is left then is named and dropped.
    pub deadline_s: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { deadline_s: 10 }
    }
}

impl Shutdown {
    /// How long everything has to finish.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_s)
    }
}

/// `[censorship]`: the main switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Censorship {
    /// Off: everything is forwarded as it is, loudly.
    pub enabled: bool,
}

impl Default for Censorship {
    fn default() -> Self {
        Self { enabled: true }
    }
}
