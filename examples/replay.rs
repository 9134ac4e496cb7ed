//! Plays a raw recording through detector, gate and guard in made-up time and prints, a line of
//! JSON for each frame, what would have been covered: for judging rules, rates and delays.
//!
//! `replay CLIP.i420 1280x720 --rules JSON [--fps 30] [--gap MS] [--answer MS] [--found FILE]`
//!
//! `--found` keeps what the detector finds, so that the next run does not ask it again. Rules that
//! want text read have it read anew each time, on the frames that are analysed.

use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use scrim::censor::Document;
use scrim::detect::{Config, Finding, Manifest, Need, Request, Service};
use scrim::media::{Picture, Rect, clock};
use scrim::pipeline::replay::{Look, Settings, Text, replay};

#[derive(Parser)]
struct Arguments {
    /// Pictures as planes one after the other, 8-bit 4:2:0.
    clip: PathBuf,
    /// Their size, as 1280x720.
    size: String,
    /// The rules of the room.
    #[arg(long)]
    rules: String,
    #[arg(long, default_value_t = 30.0)]
    fps: f64,
    /// Longest time between two analysed frames, in milliseconds.
    #[arg(long, default_value_t = 200)]
    gap: u64,
    /// What one analysis takes, in milliseconds.
    #[arg(long, default_value_t = 20)]
    answer: u64,
    /// Where what the detector finds is kept.
    #[arg(long)]
    found: PathBuf,
    /// The folder that holds the ONNX Runtime and the models.
    #[arg(long, default_value = ".scrim")]
    home: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (width, height) = arguments.size.split_once('x').context("the size is no WxH")?;
    let size = (width.parse()?, height.parse()?);
    let mut clip = std::io::BufReader::new(std::fs::File::open(&arguments.clip)?);
    let rules: Document = serde_json::from_str(&arguments.rules)?;
    let policy = rules.resolve();
    let known = std::fs::read(&arguments.found).ok();
    let asks = known.is_none() && !policy.classes.is_empty();
    let service = (asks || policy.text.is_some()).then(|| start(&arguments.home)).transpose()?;
    let (mut looks, mut findings) = (Vec::<Look>::new(), Vec::new());
    while let Some(picture) = read(&mut clip, size)? {
        looks.push(Look::at(&picture, looks.last()));
        match &service {
            Some(service) if asks => findings.push(ask(service, picture)?),
            _ => findings.push(Vec::new()),
        }
    }
    let findings = match known {
        Some(text) if !policy.classes.is_empty() => parse(&text)?,
        _ => findings,
    };
    keep(&arguments.found, &findings)?;
    let settings = Settings {
        rules,
        fps: arguments.fps,
        max_gap: Duration::from_millis(arguments.gap),
        answer: Duration::from_millis(arguments.answer),
    };
    let reader = service.as_ref().and_then(Service::reader);
    let mut text = reader.and_then(|reader| Text::new(reader, &settings.rules));
    let mut read_at = |index: u64| match &mut text {
        Some(text) => {
            let bytes = index * u64::from(size.0) * u64::from(size.1) * 3 / 2;
            let picture = clip.seek(SeekFrom::Start(bytes)).map_err(Into::into);
            let picture = picture.and_then(|_| read(&mut clip, size)).ok().flatten();
            let time = index as f64 / arguments.fps;
            picture.map(|picture| text.look(Arc::new(picture), time)).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for (index, shown) in replay(&looks, &findings, &settings, &mut read_at).iter().enumerate() {
        let regions: Vec<_> = shown.regions.iter().map(|r| [r.x, r.y, r.w, r.h]).collect();
        let line = serde_json::json!({
            "index": index,
            "heldMs": shown.held.as_secs_f64() * 1e3,
            "whole": shown.whole,
            "regions": regions,
            "analysed": shown.analysed,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn start(home: &Path) -> anyhow::Result<Service> {
    let config = Config {
        onnxruntime: home.join("onnxruntime/libonnxruntime.so"),
        models_dir: home.join("models"),
        ..Config::default()
    };
    Ok(Service::start(&config, &Manifest::builtin()?.models, |_| {})?)
}

fn read(clip: &mut impl std::io::Read, size: (u32, u32)) -> anyhow::Result<Option<Picture>> {
    let mut picture = Picture::new(size.0, size.1);
    for plane in &mut picture.planes_mut() {
        let width = plane.width;
        for y in 0..plane.height {
            match clip.read_exact(&mut plane.row_mut(y)[..width]) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Some(picture))
}

fn ask(service: &Service, picture: Picture) -> anyhow::Result<Vec<Finding>> {
    let (reply, answer) = mpsc::sync_channel(1);
    service.submit(Request {
        stream: 0,
        picture: Arc::new(picture),
        deadline: clock::now() + Duration::from_secs(2),
        need: Need::Required,
        reply: Box::new(move |answer| drop(reply.try_send(answer.result))),
    });
    Ok(answer.recv()??)
}

/// One frame's findings as they are kept: class, score, x, y, width, height.
type Kept = Vec<(String, f32, [f32; 4])>;

fn parse(text: &[u8]) -> anyhow::Result<Vec<Vec<Finding>>> {
    let frames: Vec<Kept> = serde_json::from_slice(text)?;
    let finding = |(class, score, [x, y, w, h]): (String, f32, [f32; 4])| Finding {
        class: class.into(),
        score,
        rect: Rect::new(x, y, w, h),
    };
    Ok(frames.into_iter().map(|frame| frame.into_iter().map(finding).collect()).collect())
}

fn keep(path: &Path, findings: &[Vec<Finding>]) -> anyhow::Result<()> {
    let kept =
        |f: &Finding| (f.class.to_string(), f.score, [f.rect.x, f.rect.y, f.rect.w, f.rect.h]);
    let frames: Vec<Kept> = findings.iter().map(|frame| frame.iter().map(kept).collect()).collect();
    Ok(std::fs::write(path, serde_json::to_vec(&frames)?)?)
}
