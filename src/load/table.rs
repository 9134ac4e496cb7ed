//! The report for a person. Pure.

use std::fmt::Write;

use super::latencies::Percentiles;
use super::process::Usage;
use super::report::{Figures, Report, StreamReport};

/// Streams that are listed one by one; of more, only the worst.
const LISTED: usize = 16;

const HEAD: &str = "stream     sent received  forwarded  encoded missing     fps  worst s   \
                    p50 ms   p95 ms   p99 ms   max ms   gap ms";

/// The whole of it, lines ended.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = head(&mut text, report);
    let _ = streams(&mut text, report);
    let _ = scrim(&mut text, report);
    let _ = processes(&mut text, report);
    let _ = verdict(&mut text, report);
    text
}

fn head(text: &mut String, report: &Report) -> std::fmt::Result {
    let clip = &report.clip;
    let counts = &report.streams;
    let under = report.api.as_deref().unwrap_or("LiveKit alone");
    writeln!(
        text,
        "{under}: {} of {} streams, {} viewers each, {} {}x{}@{} at {:.2} Mbit/s, counted for {} s{}",
        counts.delivered,
        counts.asked,
        report.viewers_per_stream,
        clip.codec,
        clip.width,
        clip.height,
        clip.fps,
        clip.bits_per_second / 1e6,
        report.seconds,
        if report.interrupted { " (interrupted)" } else { "" },
    )?;
    for refusal in &report.refusals {
        writeln!(text, "refused at stream {}: {}", refusal.stream, refusal.reason)?;
    }
    Ok(())
}

fn streams(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "\n{HEAD}")?;
    let mut listed: Vec<&StreamReport> = report.per_stream.iter().collect();
    if listed.len() > LISTED {
        let badness = |one: &&StreamReport| one.figures.latency_ms.p95.unwrap_or(f64::MAX);
        listed.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
        listed.truncate(LISTED);
        listed.sort_by_key(|one| one.stream);
        writeln!(text, "(the {LISTED} slowest of {})", report.per_stream.len())?;
    }
    for stream in listed {
        row(text, &stream.stream.to_string(), &stream.figures)?;
        for problem in &stream.problems {
            writeln!(text, "       {problem}")?;
        }
    }
    row(text, "all", &report.total)?;
    let total = &report.total;
    writeln!(
        text,
        "\nworst stream {} fps, sent {} fps, sent late p99 {} ms; repeated {}, not told apart {}, \
         reconnects {}, keyframes asked {}",
        total.fps_worst,
        total.fps_sent,
        number(total.send_late_ms.p99),
        total.repeated,
        total.unplaced,
        total.reconnects,
        total.keyframes_asked,
    )?;
    if total.sound_sent > 0 {
        writeln!(text, "sound: {} packets sent, {} got", total.sound_sent, total.sound_received)?;
    }
    Ok(())
}

fn row(text: &mut String, name: &str, figures: &Figures) -> std::fmt::Result {
    let Percentiles { p50, p95, p99, max } = figures.latency_ms;
    writeln!(
        text,
        "{name:>6} {:>8} {:>8} {:>10} {:>8} {:>7} {:>7.2} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8.1}",
        figures.sent,
        figures.received,
        figures.forwarded,
        figures.encoded,
        figures.missing,
        figures.fps,
        figures.worst_second,
        number(p50),
        number(p95),
        number(p99),
        number(max),
        figures.longest_gap_ms,
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

/// What Scrim counted, stream by stream.
fn scrim(text: &mut String, report: &Report) -> std::fmt::Result {
    if report.per_stream.iter().all(|stream| stream.scrim.is_none()) {
        return Ok(());
    }
    writeln!(
        text,
        "\nScrim  received analysed    clean  covered unverified dropped | whole run: forwarded \
         added p50/p95/p99 ms"
    )?;
    for stream in report.per_stream.iter().take(LISTED) {
        let Some(scrim) = &stream.scrim else { continue };
        let count = |name: &str| scrim.frames[name].as_u64().unwrap_or(0);
        let statistics = &scrim.summary["statistics"];
        let added = |name: &str| number(statistics["addedLatencyMs"][name].as_f64());
        writeln!(
            text,
            "{:>6} {:>8} {:>8} {:>8} {:>8} {:>10} {:>7} | {:>20.3} {}/{}/{}",
            stream.stream,
            count("received"),
            count("analysed"),
            count("clean"),
            count("covered"),
            count("coveredUnverified"),
            count("dropped"),
            statistics["forwardedShare"].as_f64().unwrap_or(0.0),
            added("p50"),
            added("p95"),
            added("p99"),
        )?;
    }
    Ok(())
}

fn processes(text: &mut String, report: &Report) -> std::fmt::Result {
    let streams = f64::from(report.streams.started.max(1));
    let all = [
        ("Scrim", &report.processes.scrim),
        ("LiveKit", &report.processes.livekit),
        ("this tool", &report.processes.load),
    ];
    writeln!(text)?;
    for (name, usage) in all {
        let Some(usage) = usage else { continue };
        let Usage { cpu, rss_before_mb, rss_after_mb, threads, .. } = usage;
        write!(
            text,
            "{name:>9}: {cpu:.3} cores, {:.4} a stream; {rss_before_mb} to {rss_after_mb} MB; \
             {threads} threads",
            cpu / streams
        )?;
        let mut busy: Vec<(&String, &f64)> = usage.cpu_by_thread.iter().collect();
        busy.retain(|(_, cpu)| **cpu >= 0.005);
        busy.sort_by(|a, b| b.1.total_cmp(a.1));
        let busy: Vec<String> =
            busy.iter().take(6).map(|(name, cpu)| format!("{name} {cpu:.3}")).collect();
        if !busy.is_empty() {
            write!(text, " ({})", busy.join(", "))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn verdict(text: &mut String, report: &Report) -> std::fmt::Result {
    for limit in &report.limits {
        let word = if limit.met { "met" } else { "MISSED" };
        writeln!(text, "{} {}: {} ({word})", limit.name, limit.limit, number(limit.value))?;
    }
    for warning in &report.warnings {
        writeln!(text, "warning: {warning}")?;
    }
    writeln!(text, "{}", if report.met { "passed" } else { "failed" })
}
