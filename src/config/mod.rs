//! What an operator may say: one TOML file, every key in the environment too.
//!
//! Levels: the defaults, then the file, then the environment, then `--dev` for what still has its
//! default. A key that is unknown or a value without sense stops the start, all problems at once.

mod check;
mod files;
mod http;
mod load;
mod media;
mod pictures;
mod record;
mod secret;
mod sections;

use serde::{Deserialize, Serialize};

pub use files::read as read_files;
pub use http::Http;
pub use load::{Environment, Error, Problem};
pub use media::Media;
pub use pictures::{Frames, Pictures};
pub use record::Record;
pub use secret::Secret;
pub use sections::{
    Access, Audience, Censorship, Database, Detect, Format, Level, Limits, Livekit, Log, Notify,
    Pipeline, Shutdown, Telemetry,
};

use crate::censor::{Action, Auto, ClassRule, DEFAULT_CLASSES, DEFAULT_THRESHOLD, Delay};
use crate::censor::{Document, Mode, OnFailure, RecordRule, TextCover, TextRule, Unread};
use crate::text::Severity;

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "config/scrim.toml";

/// LiveKit's key in development mode.
pub const DEV_API_KEY: &str = "devkey";

/// LiveKit's secret in development mode. Public: refused outside it.
pub const DEV_API_SECRET: &str = "devsecret-devsecret-devsecret-32ch";

/// Everything an operator may set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether this is a development server: `--dev`, never from a file.
    #[serde(skip)]
    pub dev: bool,
    /// Where and how the API is served.
    pub http: Http,
    /// The LiveKit server.
    pub livekit: Livekit,
    /// What outlives the process.
    pub database: Database,
    /// The operator's own server, which is told what happens.
    pub notify: Notify,
    /// Who may call what.
    pub access: Access,
    /// How often a client may call.
    pub limits: Limits,
    /// The models.
    pub detect: Detect,
    /// What decodes and encodes streams.
    pub media: Media,
    /// How frames are watched.
    pub pipeline: Pipeline,
    /// Single pictures that are sent to the API.
    pub pictures: Pictures,
    /// Sessions of frames that are sent to the API.
    pub frames: Frames,
    /// What is kept of detections beside themselves.
    pub record: Record,
    /// The main switch.
    pub censorship: Censorship,
    /// The rules that hold unless a stream has its own.
    pub rules: Document,
    /// What is logged.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
    /// What happens on SIGTERM.
    pub shutdown: Shutdown,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dev: false,
            http: Http::default(),
            livekit: Livekit::default(),
            database: Database::default(),
            notify: Notify::default(),
            access: Access::default(),
            limits: Limits::default(),
            detect: Detect::default(),
            media: Media::default(),
            pipeline: Pipeline::default(),
            pictures: Pictures::default(),
            frames: Frames::default(),
            record: Record::default(),
            censorship: Censorship::default(),
            rules: default_rules(),
            log: Log::default(),
            telemetry: Telemetry::default(),
            shutdown: Shutdown::default(),
        }
    }
}

impl Config {
    /// Reads `file` (TOML text, if there is a file) with the environment laid over it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with every problem at once.
    pub fn load(file: Option<&str>, environment: &Environment, dev: bool) -> Result<Self, Error> {
        load::load(file, environment, dev)
    }

    /// What `--dev` sets where the operator did not.
    fn apply_dev(&mut self) {
        self.dev = true;
        let defaults = Livekit::default();
        if self.livekit.api_key == defaults.api_key && self.livekit.api_secret.is_empty() {
            self.livekit.api_key = DEV_API_KEY.into();
            self.livekit.api_secret = DEV_API_SECRET.into();
        }
    }

    /// What a person must be told at each start; empty when nothing is unusual.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.dev {
            warnings.push(
                "development mode: calls need no token and LiveKit's key is public; never use it \
                 where others can reach it"
                    .into(),
            );
            if !self.http.listen.ip().is_loopback() {
                warnings.push(format!(
                    "development mode listens on {}, which others may reach",
                    self.http.listen
                ));
            }
        }
        if !self.dev && !self.http.tls() && !self.http.listen.ip().is_loopback() {
            warnings.push(format!(
                "tokens and keys travel in the clear to {}: set http.tls_certificate, or put a \
                 proxy with TLS before it",
                self.http.listen
            ));
        }
        if !self.censorship.enabled {
            warnings.push(
                "CENSORSHIP IS OFF: every picture reaches the viewers as it is (censorship.enabled)"
                    .into(),
            );
        }
        if self.rules.on_failure == Some(OnFailure::Pass) {
            warnings.push("rules.onFailure is pass: what has no verdict is shown".into());
        }
        warnings
    }
}

/// The rules of [`Config::default`], spelled out so that the file can show them.
fn default_rules() -> Document {
    let rule = ClassRule { threshold: Some(DEFAULT_THRESHOLD), action: Some(Action::Blur) };
    Document {
        classes: Some(
            DEFAULT_CLASSES.iter().map(|class| ((*class).to_owned(), rule.clone())).collect(),
        ),
        mode: Some(Mode::Verified),
        delay_ms: Some(Delay::Auto(Auto::Auto)),
        padding: Some(0.15),
        on_failure: Some(OnFailure::Cover),
        cascade: Some(false),
        text: Some(TextRule {
            enabled: Some(false),
            words: Some(Vec::new()),
            allow: Some(Vec::new()),
            languages: Some(vec!["en".into()]),
            severity: Some(Severity::Mild),
            context: Some(true),
            contacts: Some(Vec::new()),
            cover: Some(TextCover::Word),
            unread: Some(Unread::Cover),
            action: Some(Action::Blur),
        }),
        record: Some(RecordRule { thumbnails: Some(false) }),
    }
}
