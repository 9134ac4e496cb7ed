//! What was measured: as JSON for programs, and as tables for people. Field names are stable.

use std::fmt::Write as _;

use serde::Serialize;

use super::parity::Parity;
use crate::load::Percentiles;
use crate::telemetry::Gpu;

/// Everything.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Scrim's version.
    pub version: &'static str,
    pub machine: Machine,
    pub clip: Clip,
    /// Each region detector by itself.
    pub models: Vec<Model>,
    /// Detection alone.
    pub demand: Vec<Demand>,
    /// Decoding alone, of the clip, one stream at a time.
    pub decoders: Vec<Decoded>,
    /// Whole streams.
    pub streams: Vec<Streams>,
    /// The GPUs after everything.
    pub gpus_after: Vec<Gpu>,
    /// What was out of bounds, for a person; empty: nothing.
    pub problems: Vec<String>,
}

/// Where it was measured.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_mb: u64,
    pub gpus: Vec<Gpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuda: Option<String>,
    /// Why there is no GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_gpu: Option<String>,
}

/// What was sent.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clip {
    pub codec: &'static str,
    pub width: u32,
    pub height: u32,
    pub fps: f64,
    pub seconds: f64,
    pub bits_per_second: f64,
}

/// One region detector by itself, in one session.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Model {
    pub name: String,
    pub provider: String,
    /// Beside another provider; `null`: it is the same.
    pub parity: Option<Parity>,
    pub batches: Vec<Batch>,
}

/// Runs of one size.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Batch {
    pub size: usize,
    pub runs: usize,
    /// Of a whole run: preparation, model, decoding of its output.
    pub run_ms: Percentiles,
    pub pictures_per_second: f64,
}

/// One decoder by itself.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decoded {
    /// What gave the last picture.
    pub engine: String,
    pub on_gpu: bool,
    /// Why not a GPU although one was tried.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub frames: usize,
    /// Pictures of which a sample is not the processor's.
    pub different: u64,
    /// From an encoded frame to planes in memory.
    pub frame_ms: Percentiles,
}

/// Detection through its queue.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Demand {
    /// 0: as many as it takes.
    pub asked_per_second: u32,
    pub asked: u64,
    /// Late, shed or failed.
    pub failed: u64,
    pub answered_per_second: f64,
    pub answer_ms: Percentiles,
}

/// Whole streams at once.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Streams {
    pub streams: u32,
    /// Pictures a second that left the worst stream.
    pub fps_worst: f64,
    /// From a frame's arrival until it left.
    pub added_ms: Percentiles,
    /// The longest delay of any stream, at the end.
    pub delay_ms: f64,
    pub longest_gap_ms: f64,
    pub received: u64,
    pub analysed: u64,
    pub clean: u64,
    pub covered: u64,
    /// Covered whole for lack of a verdict.
    pub unverified: u64,
    pub dropped: u64,
    /// Of this process, everything included.
    pub cores: f64,
    pub cores_per_stream: f64,
    pub resident_mb: f64,
    /// The GPUs while it ran.
    pub gpus: Vec<Gpu>,
}

impl Report {
    /// The tables, in Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string never fails");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Machine { processor, cores, memory_mb, gpus, driver, cuda, no_gpu } = &self.machine;
        writeln!(out, "Scrim {}: {processor}, {cores} cores, {memory_mb} MB.", self.version)?;
        for Gpu { index, name, memory_total_bytes, .. } in gpus {
            let mb = memory_total_bytes.unwrap_or(0) >> 20;
            let (driver, cuda) = (or_dash(driver.as_ref()), or_dash(cuda.as_ref()));
            writeln!(out, "GPU {index}: {name}, {mb} MB; driver {driver}, CUDA {cuda}.")?;
        }
        if let Some(reason) = no_gpu {
            writeln!(out, "No GPU: {reason}.")?;
        }
        let Clip { codec, width, height, fps, seconds, bits_per_second } = &self.clip;
        let mbit = bits_per_second / 1e6;
        writeln!(
            out,
            "Clip: {codec} {width}x{height} at {fps:.0} a second, {mbit:.1} Mbit/s, {seconds:.0} s.\n"
        )?;
        self.models.iter().try_for_each(|model| model.write(out))?;
        self.write_demand(out)?;
        self.write_decoders(out)?;
        self.write_streams(out)?;
        for problem in &self.problems {
            writeln!(out, "**{problem}**\n")?;
        }
        Ok(())
    }

    fn write_demand(&self, out: &mut String) -> std::fmt::Result {
        if self.demand.is_empty() {
            return Ok(());
        }
        let head = ["detection, asked a second", "answered a second", "p50 / p95 / p99 / max ms"];
        table(out, &[&head[..], &["not answered"]].concat())?;
        for one in &self.demand {
            let asked = match one.asked_per_second {
                0 => "as many as it takes".to_owned(),
                rate => rate.to_string(),
            };
            let (answered, failed) = (one.answered_per_second, one.failed);
            let took = percentiles(&one.answer_ms);
            writeln!(out, "| {asked} | {answered:.0} | {took} | {failed} of {} |", one.asked)?;
        }
        writeln!(out)
    }

    fn write_decoders(&self, out: &mut String) -> std::fmt::Result {
        if self.decoders.is_empty() {
            return Ok(());
        }
        let head = ["decoding one stream", "p50 / p95 / p99 / max ms a frame"];
        table(out, &[&head[..], &["pictures that differ"]].concat())?;
        for Decoded { engine, reason, frames, different, frame_ms, .. } in &self.decoders {
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            let took = percentiles(frame_ms);
            writeln!(out, "| {engine}{why} | {took} | {different} of {frames} |")?;
        }
        writeln!(out)
    }

    fn write_streams(&self, out: &mut String) -> std::fmt::Result {
        if self.streams.is_empty() {
            return Ok(());
        }
        let head = ["streams", "fps of the worst", "added p50 / p95 / p99 / max ms"];
        let more = ["analysed", "clean", "covered", "unverified", "dropped", "cores (a stream)"];
        table(out, &[&head[..], &more, &["MB", "GPU busy / decoders"]].concat())?;
        for one in &self.streams {
            let share = |count: u64| 100.0 * count as f64 / one.received.max(1) as f64;
            let gpu = one.gpus.first().map_or_else(dash, |gpu| {
                let percent = |ratio: Option<f64>| {
                    ratio.map_or_else(dash, |ratio| format!("{:.0} %", 100.0 * ratio))
                };
                format!("{} / {}", percent(gpu.busy_ratio), percent(gpu.decoder_busy_ratio))
            });
            writeln!(
                out,
                "| {} | {:.1} | {} | {:.0} % | {:.0} % | {:.0} % | {} | {} | {:.2} ({:.3}) | {:.0} | {gpu} |",
                one.streams,
                one.fps_worst,
                percentiles(&one.added_ms),
                share(one.analysed),
                share(one.clean),
                share(one.covered),
                one.unverified,
                one.dropped,
                one.cores,
                one.cores_per_stream,
                one.resident_mb,
            )?;
        }
        writeln!(out)
    }
}

impl Model {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Self { name, provider, parity, batches } = self;
        if let Some(Parity { pictures, expected, missing, worst_iou, worst_score_change }) = parity
        {
            writeln!(
                out,
                "{name} on {provider}: {missing} of {expected} findings missing in {pictures} pictures, \
                 worst IoU {worst_iou:.3}, worst change of a score {worst_score_change:.3}.\n"
            )?;
        }
        let head = format!("{name} on {provider}, pictures a run");
        table(out, &[&head, "p50 / p95 / p99 / max ms", "pictures a second", "runs"])?;
        for Batch { size, runs, run_ms, pictures_per_second } in batches {
            let took = percentiles(run_ms);
            writeln!(out, "| {size} | {took} | {pictures_per_second:.0} | {runs} |")?;
        }
        writeln!(out)
    }
}

fn table(out: &mut String, head: &[&str]) -> std::fmt::Result {
    writeln!(out, "| {} |", head.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(head.len()))
}

fn percentiles(of: &Percentiles) -> String {
    let one = |ms: Option<f64>| ms.map_or_else(dash, |ms| format!("{ms:.1}"));
    [of.p50, of.p95, of.p99, of.max].map(one).join(" / ")
}

fn dash() -> String {
    "–".to_owned()
}

fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(dash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_say_what_was_measured() {
        let machine = Machine {
            processor: "a processor".into(),
            cores: 2,
            no_gpu: Some("no driver".into()),
            ..Machine::default()
        };
        let streams = Streams { streams: 3, received: 200, analysed: 50, ..Streams::default() };
        let parity = Parity { pictures: 4, expected: 9, missing: 1, ..Parity::default() };
        let model = Model {
            name: "nudenet".into(),
            provider: "cuda".into(),
            parity: Some(parity),
            batches: Vec::new(),
        };
        let report = Report {
            version: "1.2.3",
            machine,
            clip: Clip::default(),
            models: vec![model],
            demand: Vec::new(),
            decoders: vec![Decoded { engine: "software".into(), frames: 7, ..Decoded::default() }],
            streams: vec![streams],
            gpus_after: Vec::new(),
            problems: vec!["one finding is missing".into()],
        };
        let text = report.markdown();
        for said in
            ["No GPU: no driver", "1 of 9 findings missing", "| 3 | 0.0 |", "25 %", "| 0 of 7 |"]
        {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert!(text.contains("**one finding is missing**"));
    }
}
