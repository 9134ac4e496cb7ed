//! The command line. Nothing tunable lives here: what an operator may say is in `config`.

mod keys;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

use crate::api::{self, Role};
use crate::config::{self, Config, DEFAULT_FILE, Environment};
use crate::{bench, load};

/// Longest life of a token, in hours: a year.
const HOURS_MAX: i64 = 8_760;

/// Longest life of a key, in days: ten years.
const DAYS_MAX: i64 = 3_650;

/// Live video, made safe before anyone sees it.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(version, arg_required_else_help = false)]
pub struct Cli {
    /// What to do; serve when left out.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Development mode: loopback, public keys, no tokens. Never where others can reach it.
    #[arg(long, global = true)]
    pub dev: bool,

    /// The configuration file; config/scrim.toml is read when it exists and none is named.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Subcommand)]
pub enum Command {
    /// Run the server.
    #[default]
    Serve,
    /// Read the configuration, print it without secrets, and say what is wrong with it.
    CheckConfig,
    /// Say what this machine lacks for what the configuration asks of NVIDIA GPUs: exit code 0 when
    /// nothing, 1 when something, 3 when it has no GPU.
    CheckGpu,
    /// Ask the server that runs on this machine with this configuration how it is: exit code 0
    /// when it is well.
    Health {
        /// Only whether the process answers; otherwise whether a stream can be started.
        #[arg(long)]
        live: bool,
    },
    /// Print a token (JWT) of the API, signed with the configured secret.
    Token(Token),
    /// Make, list and revoke API keys, in the configured database.
    Key {
        /// What to do with them.
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Measure what this machine bears, without LiveKit.
    Bench(Box<bench::Options>),
    /// Put load on a LiveKit server, or on Scrim and LiveKit, and measure what comes out.
    Load(Box<load::Options>),
}

pub use keys::run as keys;

/// What a token is to say.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Token {
    /// Who it is for; stands in the audit log.
    #[arg(long, value_name = "NAME")]
    pub sub: String,
    /// What it allows.
    #[arg(long, default_value = "operator")]
    pub role: Role,
    /// For how many hours.
    #[arg(long, value_name = "HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=HOURS_MAX))]
    pub hours: u32,
}

/// What to do with API keys.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it, for this once.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// What it allows.
        #[arg(long, default_value = "service")]
        role: Role,
        /// After how many days it opens nothing; never when left out.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
        days: Option<u32>,
    },
    /// List all keys, without their secrets.
    List,
    /// Revoke a key, within seconds on running servers.
    Revoke {
        /// Its id, as it is listed.
        id: String,
    },
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] config::Error),
}

impl Cli {
    /// What to do.
    pub fn command(&self) -> Command {
        self.command.clone().unwrap_or_default()
    }

    /// The configuration from the file and `environment`.
    ///
    /// # Errors
    ///
    /// When a named file cannot be read, or anything in it makes no sense.
    pub fn load(&self, environment: &Environment) -> Result<Config, Error> {
        let path = self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if self.config.is_none() && error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
        };
        let environment =
            config::read_files(environment.clone(), |path| std::fs::read_to_string(path))?;
        Ok(Config::load(text.as_deref(), &environment, self.dev)?)
    }
}

/// The environment of this process; variables that are not UTF-8 are left out.
pub fn environment() -> Environment {
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.collect()
}

/// What `check-config` prints: the whole configuration as TOML, secrets masked.
///
/// # Errors
///
/// When the configuration cannot be written as TOML.
pub fn print(config: &Config) -> Result<String, toml::ser::Error> {
    toml::to_string(config)
}

/// What `token` prints.
///
/// # Errors
///
/// When there is no secret to sign with, as in development mode, or it cannot sign.
pub fn token(config: &Config, token: &Token, now: Timestamp) -> anyhow::Result<String> {
    let secret = config.access.jwt_secret.expose();
    anyhow::ensure!(
        !secret.is_empty(),
        "access.jwt_secret is not set; in --dev no token is needed"
    );
    let ttl = Duration::from_secs(u64::from(token.hours) * 3_600);
    Ok(api::sign(secret, &token.sub, token.role, now, ttl)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap()
    }

    #[test]
    fn serving_is_the_default_and_options_stand_on_either_side() {
        assert_eq!(parse("scrim").command(), Command::Serve);
        assert_eq!(parse("scrim check-config").command(), Command::CheckConfig);
        for line in ["scrim --dev --config a.toml", "scrim serve --dev --config a.toml"] {
            let cli = parse(line);
            assert!(cli.dev && cli.command() == Command::Serve, "{line}");
            assert_eq!(cli.config.as_deref(), Some(Path::new("a.toml")), "{line}");
        }
        assert!(Cli::try_parse_from(["scrim", "--nope"]).is_err());
    }

    #[test]
    fn a_load_needs_no_configuration() {
        let cli = parse("scrim load --dev --streams 3 --seconds 5");
        let Command::Load(options) = cli.command() else { panic!("{cli:?}") };
        assert!(cli.dev && options.streams == 3);
    }

    #[test]
    fn a_named_file_must_be_there() {
        let cli = parse("scrim --dev --config /nonexistent/scrim.toml");
        let error = cli.load(&Environment::new()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/scrim.toml"), "{error}");
    }

    #[test]
    fn what_is_printed_parses_again_and_holds_no_secret() {
        let config = Config::load(None, &Environment::new(), true).unwrap();
        let text = print(&config).unwrap();
        assert!(!text.contains("devsecret"));
        assert!(toml::from_str::<Config>(&text).is_ok());
    }
}
