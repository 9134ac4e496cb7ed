//! From what was counted to a verdict. Pure.

use std::time::Duration;

use serde_json::Value;

use super::clip::Clip;
use super::gather::{self, Sum};
use super::options::Options;
use super::report::{Counts, Limit, Processes, Refusal, Report, ScrimFigures};
use super::stream::Live;

/// Pictures sent this late, at the 99th percentile, say more of the tool than of the server.
const LATE_MS: f64 = 20.0;

/// Keyframes further apart make viewers wait, and servers ask.
const GROUP: Duration = Duration::from_millis(2500);

/// A measurement that is over.
pub(super) struct Course<'a> {
    pub(super) options: &'a Options,
    pub(super) clip: &'a Clip,
    pub(super) live: &'a [Live],
    pub(super) refusals: &'a [Refusal],
    pub(super) interrupted: bool,
}

/// What was looked at from outside while streams were counted.
pub(super) struct Window {
    /// How long they were counted.
    pub(super) span: Duration,
    /// Scrim's `/streams` before and after.
    pub(super) scrim: Option<(Value, Value)>,
    pub(super) processes: Processes,
}

/// Everything that was measured, and whether it is good enough. `summaries` are what Scrim said
/// of each stream that ran, at its end.
pub(super) fn report(course: &Course<'_>, window: &Window, summaries: &[Option<Value>]) -> Report {
    let Course { options, live, .. } = course;
    let mut sum = Sum::default();
    let streams = live.iter().enumerate().map(|(index, live)| {
        let summary = summaries.get(index).cloned().flatten();
        let scrim = scrim_figures(live, window.scrim.as_ref(), summary);
        sum.stream(live, window.span, scrim)
    });
    let per_stream = streams.collect();
    let mut report = Report {
        url: options.url.clone(),
        api: options.api.clone(),
        seconds: (window.span.as_secs_f64() * 100.0).round() / 100.0,
        interrupted: course.interrupted,
        clip: gather::facts(course.clip),
        viewers_per_stream: options.viewers_per_stream,
        streams: Counts {
            asked: options.streams,
            started: live.len() as u32,
            refused: course.refusals.len() as u32,
            delivered: live.iter().filter(|live| live.delivered()).count() as u32,
        },
        refusals: course.refusals.to_vec(),
        total: sum.total(),
        per_stream,
        processes: window.processes.clone(),
        limits: Vec::new(),
        met: false,
        warnings: Vec::new(),
    };
    report.limits = limits(options, &report);
    report.met = report.streams.delivered == report.streams.asked
        && report.limits.iter().all(|limit| limit.met);
    report.warnings = warnings(course.clip, &report);
    report
}

fn scrim_figures(
    live: &Live,
    pages: Option<&(Value, Value)>,
    summary: Option<Value>,
) -> Option<ScrimFigures> {
    let ((before, after), id) = pages.zip(live.stream_id.as_deref())?;
    let frames = gather::frames_between(before, after, id).unwrap_or_default();
    Some(ScrimFigures { frames, summary: summary.unwrap_or_default() })
}

fn limits(options: &Options, report: &Report) -> Vec<Limit> {
    let fps = options.min_fps.map(|limit| Limit::at_least("minFps", limit, report.worst_fps()));
    let p95 = options.max_p95_ms.map(|limit| Limit::at_most("maxP95Ms", limit, report.worst_p95()));
    let unverified = options.max_unverified.map(|limit| {
        let value = report.unverified().map(|frames| frames as f64);
        Limit::at_most("maxUnverified", limit as f64, value)
    });
    [fps, p95, unverified].into_iter().flatten().collect()
}

fn warnings(clip: &Clip, report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.total.send_late_ms.p99.is_some_and(|late| late > LATE_MS) {
        warnings.push(
            "pictures were sent late: this machine has no processor left for the tool, and its \
             figures are those of both"
                .to_owned(),
        );
    }
    let group = clip.longest_group();
    if group > GROUP {
        warnings.push(format!(
            "keyframes are up to {:.1} s apart, and nobody can make one that a viewer asks for: \
             ffmpeg -i CLIP -c:v libx264 -bf 0 -g 60 OUT.mp4",
            group.as_secs_f64()
        ));
    }
    if report.total.reconnects > 0 {
        warnings.push(format!("{} connections were lost and remade", report.total.reconnects));
    }
    warnings
}
