//! Values that parse but make no sense.

use super::load::Problem;
use super::{Config, DEV_API_SECRET};
use crate::store::Backend;
use crate::telemetry::trace::Endpoint;

/// Shortest secret that is accepted outside development mode, in bytes: as many as HS256's hash.
const SECRET_MIN: usize = 32;

/// Execution providers that exist.
const PROVIDERS: [&str; 4] = ["tensorrt", "cuda", "openvino", "cpu"];

/// Everything that makes no sense, in the order of the file.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    http(config, &mut found);
    livekit(config, &mut found);
    database(config, &mut found);
    let notify = &config.notify;
    if notify.is_on()
        && !["http://", "https://"].iter().any(|scheme| notify.url.starts_with(scheme))
    {
        found.add("notify.url", &notify.url, "must begin with http:// or https://, or be empty");
    }
    if notify.is_on() {
        found.secret("notify.secret", notify.secret.expose());
    }
    if !config.dev {
        found.secret("livekit.api_secret", config.livekit.api_secret.expose());
        found.secret("access.jwt_secret", config.access.jwt_secret.expose());
    }
    found.range("limits.window_s", config.limits.window_s, 1, 86_400);
    found.range("limits.max_cpu", config.limits.max_cpu, 0.0, 1.0);
    found.range("limits.stream_cpu", config.limits.stream_cpu, 0.0, 64.0);
    detect(config, &mut found);
    found.range("pipeline.processing_fps", config.pipeline.processing_fps, 0.5, 60.0);
    let decay = config.pipeline.confidence_decay_rate;
    found.range("pipeline.confidence_decay_rate", decay, 0.0, 1.0);
    found.range("pictures.at_once", config.pictures.at_once, 1, 64);
    found.range("pictures.max_bytes", config.pictures.max_bytes, 1_024, 64 << 20);
    found.range("pictures.max_side", config.pictures.max_side, 16, 8_192);
    found.range("pictures.time_ms", config.pictures.time_ms, 100, 20_000);
    found.range("frames.max_sessions", config.frames.max_sessions, 0, 1_000);
    found.range("frames.max_memory_mb", config.frames.max_memory_mb, 1, 65_536);
    found.range("frames.idle_s", config.frames.idle_s, 1, 86_400);
    found.range("record.thumbnail_hours", config.record.thumbnail_hours, 1, 8_760);
    found.range("shutdown.deadline_s", config.shutdown.deadline_s, 1, 300);
    let endpoint = &config.telemetry.otlp_endpoint;
    if !endpoint.is_empty()
        && let Err(problem) = endpoint.parse::<Endpoint>()
    {
        found.add("telemetry.otlp_endpoint", endpoint, &problem.to_string());
    }
    // Which classes exist is known only once the models are loaded: here each counts as known.
    let classes: Vec<&String> = config.rules.classes.iter().flat_map(|c| c.keys()).collect();
    for problem in config.rules.check(&classes) {
        let (key, detail) = problem.split_once(": ").unwrap_or(("", &problem));
        found.0.push(Problem { key: format!("rules.{key}"), value: None, detail: detail.into() });
    }
    found.0
}

fn http(config: &Config, found: &mut Found) {
    let http = &config.http;
    for origin in &http.cors_origins {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        if origin != "*" && host.is_none_or(|host| host.is_empty() || host.contains('/')) {
            found.add("http.cors_origins", origin, "must be scheme://host[:port] or \"*\"");
        }
    }
    found.range("http.max_body_bytes", http.max_body_bytes, 1_024, 16 << 20);
    found.range("http.max_connections", http.max_connections, 1, 65_536);
    let per_client = http.max_connections_per_client;
    found.range("http.max_connections_per_client", per_client, 0, 65_536);
    found.range("http.header_timeout_ms", http.header_timeout_ms, 100, 120_000);
    found.range("http.body_timeout_ms", http.body_timeout_ms, 100, 120_000);
    found.range("http.write_timeout_ms", http.write_timeout_ms, 100, 120_000);
    found.range("http.request_timeout_ms", http.request_timeout_ms, 1_000, 300_000);
    let empty = [&http.tls_certificate, &http.tls_key].map(|path| path.as_os_str().is_empty());
    if empty[0] != empty[1] {
        let key = if empty[0] { "http.tls_certificate" } else { "http.tls_key" };
        found.add(key, "", "must be set when the other of tls_certificate and tls_key is");
    }
    let header = &http.client_ip_header;
    if !header.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        found.add("http.client_ip_header", header, "must be a header name, or empty");
    }
}

fn livekit(config: &Config, found: &mut Found) {
    let livekit = &config.livekit;
    let urls = [("livekit.url", &livekit.url), ("livekit.public_url", &livekit.public_url)];
    for (key, url) in urls {
        let known = ["ws://", "wss://", "http://", "https://"];
        let host = known.iter().find_map(|scheme| url.strip_prefix(scheme));
        let may_be_empty = key == "livekit.public_url";
        if host.is_none_or(str::is_empty) && !(may_be_empty && url.is_empty()) {
            found.add(
                key,
                url,
                "must begin with ws://, wss://, http:// or https:// and name a host",
            );
        }
    }
    if livekit.api_key.is_empty() {
        found.add("livekit.api_key", "", "must be set (or LIVEKIT_API_KEY), or use --dev");
    }
    if config.dev && livekit.api_secret.is_empty() {
        found.add("livekit.api_secret", "", "must be set when livekit.api_key is");
    }
}

fn database(config: &Config, found: &mut Found) {
    let database = &config.database;
    if let Err(error) = Backend::of(database.url.expose()) {
        // Without the value: it may hold a password.
        found.0.push(Problem {
            key: "database.url".into(),
            value: None,
            detail: error.to_string(),
        });
    }
    found.range("database.connections", database.connections, 3, 500);
    found.range("database.retention_days", database.retention_days, 0, 36_500);
}

fn detect(config: &Config, found: &mut Found) {
    let detect = &config.detect;
    if detect.providers.is_empty() {
        found.add(
            "detect.providers",
            "[]",
            "must name at least one of tensorrt, cuda, openvino, cpu",
        );
    }
    for provider in &detect.providers {
        if !PROVIDERS.contains(&provider.as_str()) {
            found.add("detect.providers", provider, "must be one of tensorrt, cuda, openvino, cpu");
        }
    }
    if detect.models.is_empty() {
        found.add("detect.models", "[]", "must name at least one model of the manifest");
    }
    if detect.devices.is_empty() {
        found.add("detect.devices", "[]", "must name at least one GPU by its number, as in [0]");
    }
    for &device in &detect.devices {
        found.range("detect.devices", device, 0, 63);
    }
    found.range("detect.gpu_memory_mb", detect.gpu_memory_mb, 0, 1 << 20);
    found.range("detect.workers", detect.workers, 0, 64);
    found.range("detect.text_workers", detect.text_workers, 0, 64);
    found.range("detect.threads_per_session", detect.threads_per_session, 1, 64);
    found.range("detect.batch_size", detect.batch_size, 1, 64);
    found.range("detect.batch_max_wait_ms", detect.batch_max_wait_ms, 0, 1_000);
    found.range("detect.limit_ms", detect.limit_ms, 50, 60_000);
    found.range("detect.breaker_failures", detect.breaker_failures, 1, 1_000);
    found.range("detect.breaker_open_s", detect.breaker_open_s, 1, 3_600);
}

/// Problems as they are found.
#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, key: &str, value: &str, detail: &str) {
        let value = Some(format!("{value:?}"));
        self.0.push(Problem { key: key.into(), value, detail: detail.into() });
    }

    fn range<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        key: &str,
        value: T,
        low: T,
        high: T,
    ) {
        if !(low..=high).contains(&value) {
            let detail = format!("must be from {low} to {high}");
            self.0.push(Problem { key: key.into(), value: Some(value.to_string()), detail });
        }
    }

    /// Never repeats the value.
    fn secret(&mut self, key: &str, value: &str) {
        let detail = if value.is_empty() {
            "must be set, or use --dev".to_owned()
        } else if value == DEV_API_SECRET || value.to_ascii_lowercase().starts_with("devsecret") {
            "is the public development secret; choose one of your own".to_owned()
        } else if value.len() < SECRET_MIN {
            format!("must have at least {SECRET_MIN} characters; it has {}", value.len())
        } else if value.bytes().all(|b| b == value.as_bytes()[0]) {
            "must not be one character repeated".to_owned()
        } else {
            return;
        };
        self.0.push(Problem { key: key.into(), value: None, detail });
    }
}
