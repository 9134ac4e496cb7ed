//! From text and environment to a [`Config`], with every problem at once.
//!
//! File and environment become one TOML tree. Each of its leaves is tried alone against the typed
//! document: what does not fit is a problem with its key path, and the rest can still be checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, check};

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// Begins the name of a variable that sets any key: `SCRIM__SECTION__KEY`.
pub(super) const PREFIX: &str = "SCRIM__";

/// Variables with names of their own, weakest first where two set one key.
pub(super) const NAMED: [(&str, &str); 17] = [
    ("LIVEKIT_WS_URL", "livekit.url"),
    ("LIVEKIT_WS_URL", "livekit.public_url"),
    ("LIVEKIT_URL", "livekit.url"),
    ("LIVEKIT_API_KEY", "livekit.api_key"),
    ("LIVEKIT_API_SECRET", "livekit.api_secret"),
    ("DATABASE_URL", "database.url"),
    ("JWT_SECRET", "access.jwt_secret"),
    ("ALLOWED_ORIGINS", "http.cors_origins"),
    ("LOG_LEVEL", "log.level"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
    ("ENABLE_CENSORSHIP", "censorship.enabled"),
    ("PROCESSING_FPS", "pipeline.processing_fps"),
    ("CONFIDENCE_DECAY_RATE", "pipeline.confidence_decay_rate"),
    ("KALMAN_ENABLED", "pipeline.kalman_enabled"),
    ("BATCH_SIZE", "detect.batch_size"),
    ("BATCH_MAX_WAIT_MS", "detect.batch_max_wait_ms"),
];

/// Keys whose values are never repeated in a message.
pub(super) const SECRETS: [&str; 4] =
    ["livekit.api_secret", "database.url", "notify.secret", "access.jwt_secret"];

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key's path, as `section.key`.
    pub key: String,
    /// The value; `None` for secrets.
    pub value: Option<String>,
    /// What is allowed.
    pub detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.key, self.detail),
            None => write!(f, "{}: {}", self.key, self.detail),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not TOML.
    #[error("the configuration file is not valid TOML: {0}")]
    Syntax(String),
    /// Keys or values without sense; all of them.
    #[error("the configuration has {} problem(s):{}", .0.len(), list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// See [`Config::load`].
pub(super) fn load(
    file: Option<&str>,
    environment: &Environment,
    dev: bool,
) -> Result<Config, Error> {
    let mut tree: Table = match file {
        // The error's own text shows the line, which may hold a secret: only its place is kept.
        Some(text) => text.parse().map_err(|error| Error::Syntax(place(text, &error)))?,
        None => Table::new(),
    };
    let shape = Table::try_from(Config::default()).unwrap_or_default();
    for (path, text) in overrides(environment) {
        // In the rules a key may hold a word or a number: the text decides, not the default.
        let default = lookup(&shape, &path).filter(|_| path[0] != "rules");
        let value = typed(&text, default);
        insert(&mut tree, &path, value);
    }
    let mut problems = Vec::new();
    let mut good = Table::new();
    for (path, value) in leaves(&tree) {
        let mut alone = Table::new();
        insert(&mut alone, &path, value.clone());
        match Config::deserialize(alone) {
            Ok(_) => insert(&mut good, &path, value),
            Err(error) => problems.push(problem(&path, &value, error.message())),
        }
    }
    let mut config = Config::deserialize(good)
        .map_err(|error| Error::Invalid(vec![problem(&[], &Value::from(""), error.message())]))?;
    config.rules = config.rules.over(&Config::default().rules);
    if dev {
        config.apply_dev();
    }
    problems.extend(check::check(&config));
    if problems.is_empty() { Ok(config) } else { Err(Error::Invalid(problems)) }
}

fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(0, |span| {
        1 + text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count()
    });
    format!("line {line}: {}", error.message())
}

fn problem(path: &[String], value: &Value, message: &str) -> Problem {
    let key = path.join(".");
    if SECRETS.contains(&key.as_str()) {
        return Problem { key, value: None, detail: "must be a string".into() };
    }
    if key == "rules.delayMs" {
        let detail = "must be \"auto\" or a number of milliseconds".into();
        return Problem { key, value: Some(value.to_string()), detail };
    }
    Problem { key, value: Some(value.to_string()), detail: plain(message) }
}

/// The parser's message in an operator's words.
fn plain(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    match message.split_once(", expected ") {
        Some((what, allowed)) if what.starts_with("unknown field") => {
            format!("unknown key; allowed: {}", allowed.trim_start_matches("one of "))
        }
        Some((what, allowed)) if what.starts_with("unknown variant") => {
            format!("must be {allowed}")
        }
        _ => message,
    }
}

/// Key paths and texts from the environment, strongest last.
fn overrides(environment: &Environment) -> Vec<(Vec<String>, String)> {
    let named = NAMED.iter().filter_map(|(name, path)| {
        let text = environment.get(*name)?;
        Some((path.split('.').map(str::to_owned).collect(), text.clone()))
    });
    let any = environment.iter().filter_map(|(name, text)| {
        let parts: Vec<&str> = name.strip_prefix(PREFIX)?.split("__").collect();
        Some((spelled(&parts), text.clone()))
    });
    named.chain(any).collect()
}

/// The key path that a variable's parts mean: sections and keys are lower-case, the rules' own
/// keys camelCase, and a class is spelled as it is.
fn spelled(parts: &[&str]) -> Vec<String> {
    let rules = parts.first().is_some_and(|first| first.eq_ignore_ascii_case("rules"));
    let classes = rules && parts.get(1).is_some_and(|p| p.eq_ignore_ascii_case("classes"));
    let spell = |(index, part): (usize, &&str)| match index {
        2 if classes => (*part).to_owned(),
        1 if rules => camel(part),
        _ => part.to_ascii_lowercase(),
    };
    parts.iter().enumerate().map(spell).collect()
}

fn camel(part: &str) -> String {
    let lower = part.to_ascii_lowercase();
    let mut words = lower.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
    })
}

/// The text as a value of the same kind as the default, so that a key of digits stays a string.
/// What does not fit stays a string and is refused with its text.
fn typed(text: &str, default: Option<&Value>) -> Value {
    let literal =
        || format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    let string = || Value::String(text.to_owned());
    match default {
        Some(Value::String(_)) => string(),
        Some(Value::Array(_)) => literal().filter(Value::is_array).unwrap_or_else(|| {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }),
        Some(Value::Boolean(_)) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Value::Boolean(true),
            "false" | "0" | "no" | "off" => Value::Boolean(false),
            _ => string(),
        },
        Some(Value::Float(_)) => text.parse().map_or_else(|_| string(), Value::Float),
        _ => literal().unwrap_or_else(string),
    }
}

fn lookup<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(first)?;
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}

/// Sets the value at `path`; a scalar in the way of the path gives place.
fn insert(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => drop(table.insert(last.clone(), value)),
        [first, rest @ ..] => {
            let below = table.entry(first.clone()).or_insert_with(|| Table::new().into());
            if !below.is_table() {
                *below = Table::new().into();
            }
            if let Value::Table(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

/// Every value that is no table, and every empty table, with its path.
fn leaves(table: &Table) -> Vec<(Vec<String>, Value)> {
    let mut all = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(below) if !below.is_empty() => {
                for (mut path, value) in leaves(below) {
                    path.insert(0, key.clone());
                    all.push((path, value));
                }
            }
            _ => all.push((vec![key.clone()], value.clone())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::censor::{Action, Delay};
    use crate::config::{Audience, DEV_API_SECRET, Level};

    const FILE: &str = include_str!("../../config/scrim.toml");
    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn problems(result: Result<Config, Error>) -> Vec<Problem> {
        match result {
            Err(Error::Invalid(problems)) => problems,
            other => panic!("expected problems, got {other:?}"),
        }
    }

    fn dev(file: &str, pairs: &[(&str, &str)]) -> Config {
        load(Some(file), &environment(pairs), true).unwrap()
    }

    #[test]
    fn the_example_file_is_exactly_the_default() {
        assert_eq!(toml::from_str::<Config>(FILE).unwrap(), Config::default());
    }

    #[test]
    fn the_example_file_names_every_key() {
        let file: Table = FILE.parse().unwrap();
        let shape = Table::try_from(Config::default()).unwrap();
        let paths = |table| leaves(table).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths(&file), paths(&shape));
    }

    #[test]
    fn environment_wins_over_the_file() {
        let config = dev(
            "[detect]\nbatch_size = 4\n[http]\nlisten = \"127.0.0.1:1\"",
            &[
                ("BATCH_SIZE", "2"),
                ("SCRIM__HTTP__LISTEN", "127.0.0.1:9"),
                ("ALLOWED_ORIGINS", "https://a.example, https://b.example"),
                ("ENABLE_CENSORSHIP", "FALSE"),
                ("LOG_LEVEL", "debug"),
                ("PROCESSING_FPS", "7"),
                ("SCRIM__ACCESS__VIEWER_TOKENS", "anyone"),
                ("LIVEKIT_API_KEY", "12345"),
                ("LIVEKIT_API_SECRET", "67890"),
            ],
        );
        assert_eq!(config.detect.batch_size, 2);
        assert_eq!(config.http.listen.port(), 9);
        assert_eq!(config.http.cors_origins, ["https://a.example", "https://b.example"]);
        assert!(!config.censorship.enabled);
        assert_eq!(config.log.level, Level::Debug);
        assert!((config.pipeline.processing_fps - 7.0).abs() < f64::EPSILON);
        assert_eq!(config.access.viewer_tokens, Audience::Anyone);
        assert_eq!(config.livekit.api_key, "12345");
        assert_eq!(config.livekit.api_secret.expose(), "67890");
    }

    #[test]
    fn either_livekit_url_works_and_the_specific_one_wins() {
        let config = dev("", &[("LIVEKIT_WS_URL", "wss://public.example/")]);
        assert_eq!(config.livekit.ws_url(), "wss://public.example");
        let config =
            dev("", &[("LIVEKIT_WS_URL", "wss://public.example"), ("LIVEKIT_URL", "http://in:1")]);
        assert_eq!(config.livekit.ws_url(), "ws://in:1");
        assert_eq!(config.livekit.http_url(), "http://in:1");
        assert_eq!(config.livekit.client_url(), "wss://public.example");
    }

    #[test]
    fn rules_lie_over_the_defaults_and_classes_replace_them() {
        let config = dev(
            "[rules]\ndelayMs = 300\n[rules.classes.FACE_FEMALE]\naction = \"pixelate\"",
            &[("SCRIM__RULES__CLASSES__FACE_FEMALE__THRESHOLD", "0.4")],
        );
        let policy = config.rules.resolve();
        assert_eq!(config.rules.delay_ms, Some(Delay::Millis(300)));
        assert_eq!(policy.classes.len(), 1);
        assert_eq!(policy.classes["FACE_FEMALE"], (0.4, Action::Pixelate));
        assert!((policy.padding - 0.15).abs() < f32::EPSILON);
        let config = dev("", &[("SCRIM__RULES__DELAY_MS", "250")]);
        assert_eq!(config.rules.delay_ms, Some(Delay::Millis(250)));
        assert_eq!(config.rules.classes.unwrap().len(), crate::censor::DEFAULT_CLASSES.len());
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let file = "[htpp]\n[http]\nlisten = 5\n[detect]\nbatch_size = 0\nbatch_sise = 1\n\
                    providers = [\"tpu\"]\n[rules]\npadding = 3.0\n[log]\nlevel = \"loud\"";
        let pairs = [("SCRIM__PIPELINE__NOPE", "1"), ("BATCH_MAX_WAIT_MS", "soon")];
        let found = problems(load(Some(file), &environment(&pairs), true));
        let mut keys: Vec<&str> = found.iter().map(|p| p.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "detect.batch_max_wait_ms",
                "detect.batch_sise",
                "detect.batch_size",
                "detect.providers",
                "htpp",
                "http.listen",
                "log.level",
                "pipeline.nope",
                "rules.padding",
            ]
        );
        let level = found.iter().find(|p| p.key == "log.level").unwrap();
        assert_eq!(level.value.as_deref(), Some("\"loud\""));
        assert_eq!(level.detail, "must be one of `error`, `warn`, `info`, `debug`, `trace`");
        let typo = found.iter().find(|p| p.key == "detect.batch_sise").unwrap();
        assert!(typo.detail.starts_with("unknown key; allowed: `onnxruntime`"), "{}", typo.detail);
    }

    #[test]
    fn outside_dev_secrets_must_be_set_long_and_private() {
        let strict = |api: &str, jwt: &str| {
            let pairs =
                [("LIVEKIT_API_KEY", "key"), ("LIVEKIT_API_SECRET", api), ("JWT_SECRET", jwt)];
            load(None, &environment(&pairs), false)
        };
        assert!(strict(SECRET, SECRET).is_ok());
        for bad in ["", "short-but-mine", DEV_API_SECRET, &"x".repeat(40)] {
            let error = strict(bad, SECRET).unwrap_err();
            assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
            assert_eq!(problems(Err(error))[0].key, "livekit.api_secret");
            assert_eq!(problems(strict(SECRET, bad))[0].key, "access.jwt_secret");
        }
        assert_eq!(problems(load(None, &Environment::new(), false)).len(), 3);
    }

    #[test]
    fn dev_fills_in_what_was_not_said() {
        let config = load(Some(FILE), &Environment::new(), true).unwrap();
        assert_eq!(config.livekit.api_key, "devkey");
        assert_eq!(config.livekit.api_secret.expose(), DEV_API_SECRET);
        assert!(config.dev && config.http.listen.ip().is_loopback());
        assert!(!config.warnings().is_empty());
    }

    #[test]
    fn secrets_are_never_printed() {
        let config = dev("", &[("JWT_SECRET", SECRET)]);
        assert!(!format!("{config:?}").contains(SECRET));
        assert!(!toml::to_string(&config).unwrap().contains(SECRET));
        let file = format!("[access]\njwt_secret = [\"{SECRET}\"]");
        let error = load(Some(&file), &Environment::new(), true).unwrap_err();
        assert!(!error.to_string().contains(SECRET), "{error}");
        let file = format!("[access]\njwt_secret = \"{SECRET}\noops");
        let error = load(Some(&file), &Environment::new(), true).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 3") && !text.contains(SECRET), "{text}");
    }
}
