//! What is asked for on the command line, and what that comes to.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::config::{DEV_API_KEY, DEV_API_SECRET};
use crate::livekit::Credentials;
use crate::media::VideoCodec;

/// Most streams or viewers of a stream: beyond, somebody mistyped.
const MOST: u32 = 1000;

/// Put load on a LiveKit server, or on Scrim and LiveKit, and measure what comes out.
///
/// Broadcasters send pictures that were encoded before, so that sending costs next to nothing;
/// viewers recognise each picture by its bytes, without decoding. Exit code: 0 when every stream
/// ran and every limit was met, 1 when not, 2 when nothing could be measured.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Options {
    /// LiveKit's address
    #[arg(long, env = "LIVEKIT_URL", default_value = "ws://127.0.0.1:7880", value_name = "URL")]
    pub url: String,

    /// LiveKit's API key; --dev brings the one of development mode
    #[arg(long, env = "LIVEKIT_API_KEY", value_name = "KEY")]
    pub key: Option<String>,

    /// LiveKit's API secret
    #[arg(long, env = "LIVEKIT_API_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub secret: Option<String>,

    /// Address of a Scrim that censors each stream; without it LiveKit is loaded alone, viewers
    /// in the broadcaster's own room
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,

    /// A bearer token of Scrim's API with the role operator; not needed by a Scrim in --dev
    #[arg(long, env = "SCRIM_TOKEN", value_name = "JWT", hide_env_values = true)]
    pub token: Option<String>,

    /// Streams at once
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    pub streams: u32,

    /// Viewers of each stream
    #[arg(long, default_value_t = 1, value_name = "V",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    pub viewers_per_stream: u32,

    /// The clip to send over and over: H264 or VP8 without B-frames, in MP4, MKV, IVF or raw
    /// H.264. It should hold a keyframe each second or two: nobody can make one that a viewer
    /// asks for. Without it a clip is made: a moving texture, 1280x720, 30 a second, 1.8 Mbit/s
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Codec of the clip that is made
    #[arg(long, default_value = "h264", conflicts_with = "file")]
    pub codec: Codec,

    /// Time between keyframes of the clip that is made
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration,
        conflicts_with = "file")]
    pub keyframe_every: Duration,

    /// Send sound, too: Opus packets of silence
    #[arg(long)]
    pub sound: bool,

    /// How long to measure, once every stream runs
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
    pub seconds: Duration,

    /// How long streams run before they are counted
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration)]
    pub settle: Duration,

    /// Time from the start of one stream to that of the next
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = duration)]
    pub ramp: Duration,

    /// Rules for each stream, as in POST /stream/start
    #[arg(long, value_name = "JSON", requires = "api")]
    pub rules: Option<String>,

    /// Rooms are called PREFIX-1, PREFIX-2 and so on; a new prefix each time when left out
    #[arg(long, value_name = "PREFIX")]
    pub room: Option<String>,

    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Process id of the Scrim under test on this machine, to measure what it uses
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,

    /// Process id of the LiveKit server on this machine
    #[arg(long, value_name = "PID")]
    pub livekit_pid: Option<u32>,

    /// Limit: pictures a second at the viewers of the worst stream
    #[arg(long, value_name = "FPS")]
    pub min_fps: Option<f64>,

    /// Limit: 95th percentile, in the worst stream, of the time from sending a picture until a
    /// viewer has it
    #[arg(long, value_name = "MS")]
    pub max_p95_ms: Option<f64>,

    /// Limit: frames that Scrim covered for lack of a verdict, all streams together
    #[arg(long, value_name = "FRAMES", requires = "api")]
    pub max_unverified: Option<u64>,
}

/// A codec that clips can be made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    /// H.264.
    H264,
    /// VP8.
    Vp8,
}

impl From<Codec> for VideoCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264,
            Codec::Vp8 => Self::Vp8,
        }
    }
}

/// What the command line leaves out or gets wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum OptionsError {
    #[error(
        "no key to LiveKit: give --key and --secret (or LIVEKIT_API_KEY and LIVEKIT_API_SECRET), or --dev"
    )]
    NoKey,
    #[error("--rules is no JSON object: {0}")]
    Rules(String),
    #[error("--room must be 1 to 40 letters, digits, - or _")]
    Room,
    #[error("{option} {pid}: there is no such process, or it may not be looked at")]
    NoProcess { option: &'static str, pid: u32 },
}

impl Options {
    /// The keys to LiveKit.
    pub(super) fn credentials(&self, dev: bool) -> Result<Credentials, OptionsError> {
        let known = |given: &Option<String>, dev_value: &str| {
            given.clone().filter(|value| !value.is_empty()).or(dev.then(|| dev_value.to_owned()))
        };
        let pair = known(&self.key, DEV_API_KEY).zip(known(&self.secret, DEV_API_SECRET));
        let (api_key, api_secret) = pair.ok_or(OptionsError::NoKey)?;
        Ok(Credentials { url: self.url.clone(), api_key, api_secret })
    }

    /// The rules for each stream.
    pub(super) fn rules(&self) -> Result<Option<serde_json::Value>, OptionsError> {
        let Some(text) = &self.rules else { return Ok(None) };
        let parsed: Result<serde_json::Map<_, _>, _> = serde_json::from_str(text);
        parsed
            .map(|rules| Some(rules.into()))
            .map_err(|error| OptionsError::Rules(error.to_string()))
    }

    /// What room names begin with.
    pub(super) fn prefix(&self) -> Result<String, OptionsError> {
        let Some(prefix) = &self.room else {
            return Ok(format!("load-{:06x}", fastrand::u32(..1 << 24)));
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=40).contains(&prefix.len()) && prefix.bytes().all(allowed);
        fits.then(|| prefix.clone()).ok_or(OptionsError::Room)
    }
}

/// `90`, `90s`, `1.5s`, `500ms` or `2m`; above zero and at most a day.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("", 1.0)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Some(number * seconds)
    });
    match parsed {
        Some(seconds) if seconds > 0.0 && seconds <= 86_400.0 => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Some(_) => Err("must be above zero and at most a day".into()),
        None => Err("must be a number of seconds, or one with ms, s or m".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Line::try_parse_from(format!("load {line}").split(' ')).map(|line| line.options)
    }

    #[test]
    fn times_are_seconds_unless_they_say_otherwise() {
        let cases = [("90", 90_000), ("1.5s", 1500), ("500ms", 500), ("2m", 120_000)];
        for (text, millis) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0", "-1s", "1h", "NaN", "1e9"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_given_or_those_of_development_mode() {
        let own = parse("--key k --secret s").unwrap();
        assert_eq!(own.credentials(false).unwrap().api_key, "k");
        let none = parse("--streams 3").unwrap();
        if none.key.is_none() && none.secret.is_none() {
            assert!(matches!(none.credentials(false), Err(OptionsError::NoKey)));
            assert_eq!(none.credentials(true).unwrap().api_key, DEV_API_KEY);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--streams 0", "--rules {}", "--max-unverified 0", "--file a --codec vp8"] {
            assert!(parse(line).is_err(), "{line}");
        }
        let rules = parse("--api http://x --rules []").unwrap().rules();
        assert!(matches!(rules, Err(OptionsError::Rules(_))));
        assert!(matches!(parse("--room a/b").unwrap().prefix(), Err(OptionsError::Room)));
        assert_eq!(parse("--room a-b").unwrap().prefix().unwrap(), "a-b");
    }
}
