//! `scrim load` against a real livekit-server, as a user runs it.

#![allow(clippy::disallowed_methods, reason = "outside the server, where nobody supervises")]

#[allow(unreachable_pub, missing_docs, dead_code)]
mod support;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::server::Server;

/// Runs the tool against `server`, and reads what it wrote.
fn load(server: &Server, arguments: &[&str]) -> (Output, Value) {
    let folder = std::env::temp_dir();
    let file = folder.join(format!("scrim-load-test-{}-{}.json", std::process::id(), arguments[0]));
    let credentials = server.credentials();
    let output = Command::new(env!("CARGO_BIN_EXE_scrim"))
        .args(["load", "--url", &credentials.url, "--key", &credentials.api_key])
        .args(["--secret", &credentials.api_secret])
        .args(["--json", file.to_str().expect("a name that can be said")])
        .args(&arguments[1..])
        .stdin(Stdio::null())
        .output()
        .expect("scrim runs");
    let report = std::fs::read(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    (output, serde_json::from_slice(&report).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_picture_is_recognised_and_comes_at_its_rate() {
    let server = Server::start().await;
    for codec in ["h264", "vp8"] {
        let line = [codec, "--streams", "2", "--seconds", "5", "--ramp", "200ms", "--sound"];
        let more = ["--codec", codec, "--min-fps", "28.5", "--livekit-pid"];
        let own = std::process::id().to_string();
        let (output, report) = load(&server, &[&line[..], &more[..], &[&own]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("passed"), "{text}");
        let total = &report["total"];
        let count = |name: &str| total[name].as_u64().expect(name);
        assert!(count("sent") >= 2 * 140, "{total}");
        assert_eq!(count("received"), count("sent"), "{total}");
        assert_eq!(count("forwarded"), count("sent"), "not one bit differs: {total}");
        assert_eq!((count("missing"), count("encoded"), count("repeated")), (0, 0, 0), "{total}");
        for stream in report["perStream"].as_array().expect("streams") {
            let fps = stream["fps"].as_f64().expect("a rate");
            assert!((28.5..=31.5).contains(&fps), "{stream}");
            let p50 = stream["latencyMs"]["p50"].as_f64().expect("a latency");
            assert!(p50 > 0.0, "{stream}");
        }
        assert!(count("soundReceived") > 0 && count("soundSent") >= count("soundReceived"));
        assert!(report["processes"]["load"]["cpu"].as_f64().expect("its own cost") > 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_limit_and_nothing_to_measure_are_told_apart() {
    let mut server = Server::start().await;
    let (missed, report) = load(&server, &["missed", "--seconds", "1", "--min-fps", "100"]);
    assert_eq!(missed.status.code(), Some(1));
    assert_eq!(report["met"], false);
    assert_eq!(report["limits"][0]["met"], false);
    server.kill();
    let (unmeasured, _) = load(&server, &["unmeasured", "--seconds", "1"]);
    assert_eq!(unmeasured.status.code(), Some(2));
    let text = String::from_utf8_lossy(&unmeasured.stderr);
    assert!(text.contains("cannot be reached"), "{text}");
}
