//! What looking for text costs beside looking for faces: the same recording through detector, gate,
//! guard and text lane twice, without and with text in the rules, and the processor time of both.
//!
//! `text_cost [CLIP.i420 1280x720] [--fps 30] [--gap MS] [--kept DIRECTORY]`
//!
//! Without a recording it draws one: a texture that pans with a caption that stays. Reading the
//! file is in both figures, in place of decoding; sending is in neither. `--kept` writes the pictures that were analysed, for another
//! reader to be called on: `tests/python/ocr_cost.py DIRECTORY`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use scrim::censor::Document;
use scrim::detect::text::{FindRequest, ReadRequest, Reader};
use scrim::detect::{Config, Finding, Manifest, Need, Request, Service};
use scrim::media::{Picture, clock};
use scrim::pipeline::replay::{Look, Settings, Text, replay};

/// What the rules cover in both runs, and in the second besides.
const FACES: &str = r#""classes": {"FACE_FEMALE": {}, "FACE_MALE": {}}"#;
const WORDS: &str = r#""text": {"enabled": true}"#;

#[derive(Parser)]
struct Arguments {
    /// Pictures as planes one after the other, 8-bit 4:2:0.
    clip: Option<PathBuf>,
    /// Their size.
    #[arg(default_value = "1280x720")]
    size: String,
    #[arg(long, default_value_t = 30.0)]
    fps: f64,
    /// Longest time between two analysed frames, in milliseconds.
    #[arg(long, default_value_t = 200)]
    gap: u64,
    /// Where the analysed pictures are kept.
    #[arg(long)]
    kept: Option<PathBuf>,
    /// The folder that holds the ONNX Runtime and the models.
    #[arg(long, default_value = ".scrim")]
    home: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let film = Film::open(&arguments)?;
    let config = Config {
        onnxruntime: arguments.home.join("onnxruntime/libonnxruntime.so"),
        models_dir: arguments.home.join("models"),
        ..Config::default()
    };
    let service = Service::start(&config, &Manifest::builtin()?.models, |_| {})?;
    let seconds = film.frames as f64 / arguments.fps;
    // The first run pays for what is done once.
    play(&film, &service, &arguments, false)?;
    let without = play(&film, &service, &arguments, false)?;
    let with = play(&film, &service, &arguments, true)?;
    let core = |run: &Run| run.cpu.as_secs_f64() / seconds;
    println!(
        "{:.1} s of video, {} looks, {:.1} a second",
        seconds,
        with.looks,
        with.looks as f64 / seconds
    );
    println!("without text: {:.3} of a core", core(&without));
    println!(
        "with text:    {:.3} of a core, {:.2} times as much",
        core(&with),
        core(&with) / core(&without)
    );
    println!(
        "text alone:   {:.1} ms a look; {} searches of {:.1} megapixels in all, {} readings",
        (with.cpu.as_secs_f64() - without.cpu.as_secs_f64()) * 1e3 / with.looks.max(1) as f64,
        with.finds,
        with.pixels as f64 / 1e6,
        with.reads,
    );
    Ok(())
}

/// The pictures, in a file.
struct Film {
    file: std::fs::File,
    size: (u32, u32),
    frames: u64,
}

impl Film {
    /// Frames of a film that is drawn.
    const DRAWN: u64 = 300;

    fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let (width, height) = arguments.size.split_once('x').context("the size is no WxH")?;
        let size: (u32, u32) = (width.parse()?, height.parse()?);
        let file = match &arguments.clip {
            Some(path) => std::fs::File::open(path)?,
            None => drawn(size)?,
        };
        let frames = file.metadata()?.len() / Self::bytes(size);
        Ok(Self { file, size, frames })
    }

    fn bytes((width, height): (u32, u32)) -> u64 {
        u64::from(width) * u64::from(height) * 3 / 2
    }

    fn picture(&self, index: u64) -> anyhow::Result<Picture> {
        let mut picture = Picture::new(self.size.0, self.size.1);
        let mut at = index * Self::bytes(self.size);
        for plane in &mut picture.planes_mut() {
            let width = plane.width;
            for y in 0..plane.height {
                self.file.read_exact_at(&mut plane.row_mut(y)[..width], at)?;
                at += width as u64;
            }
        }
        Ok(picture)
    }
}

/// A film that is drawn, in a file that nobody else sees.
fn drawn(size: (u32, u32)) -> anyhow::Result<std::fs::File> {
    let path = std::env::temp_dir().join(format!("text_cost-{}.i420", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    let mut out = std::io::BufWriter::new(&file);
    let mut picture = Picture::filled(size.0, size.1, [0, 128, 128]);
    for index in 0..Film::DRAWN {
        draw(&mut picture, index);
        write(&picture, &mut out)?;
    }
    out.flush()?;
    drop(out);
    Ok(file)
}

fn write(picture: &Picture, out: &mut impl std::io::Write) -> std::io::Result<()> {
    for plane in picture.planes() {
        (0..plane.height).try_for_each(|y| out.write_all(&plane.row(y)[..plane.width]))?;
    }
    Ok(())
}

/// Rows of dots, as letters have them: five across and seven down, as a terminal draws them.
const CAPTION: [[u8; 7]; 6] = [
    [0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e],
    [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
    [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10],
    [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10],
    [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f],
    [0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f],
];

/// A texture that pans two pixels a frame, before which COFFEE stands.
fn draw(picture: &mut Picture, index: u64) {
    let [luma, ..] = &mut picture.planes_mut();
    for y in 0..luma.height {
        for (x, sample) in luma.row_mut(y).iter_mut().enumerate() {
            let (u, v) = (x as f32 + 2.0 * index as f32, y as f32);
            let wave = (u / 31.0 + v / 17.0).sin() + 0.7 * (u / 3.1).sin() * (v / 4.3).cos();
            *sample = (110.0 + 28.0 * wave) as u8;
        }
    }
    let (left, top, dot) = (120, luma.height - 120, 6);
    for y in top - dot..top + 8 * dot {
        for x in left - dot..left + 6 * 6 * dot {
            let (u, v) = (
                (x as i64 - left as i64).div_euclid(dot as i64),
                (y as i64 - top as i64).div_euclid(dot as i64),
            );
            let letter =
                usize::try_from(u).ok().and_then(|u| CAPTION.get(u / 6).map(|rows| (rows, u % 6)));
            let set = letter.is_some_and(|(rows, column)| {
                let row =
                    usize::try_from(v).ok().and_then(|v| rows.get(v)).copied().unwrap_or_default();
                column < 5 && row >> (4 - column) & 1 == 1
            });
            luma.row_mut(y)[x] = if set { 235 } else { 30 };
        }
    }
}

/// What a run took.
struct Run {
    cpu: Duration,
    looks: usize,
    finds: usize,
    pixels: usize,
    reads: usize,
}

/// Counts what is asked of a reader.
struct Counting {
    reader: Arc<dyn Reader>,
    finds: AtomicUsize,
    pixels: AtomicUsize,
    reads: AtomicUsize,
}

impl Reader for Counting {
    fn find(&self, request: FindRequest) {
        self.finds.fetch_add(1, Relaxed);
        self.pixels.fetch_add(request.area.area() as usize, Relaxed);
        self.reader.find(request);
    }

    fn read(&self, request: ReadRequest) {
        self.reads.fetch_add(1, Relaxed);
        self.reader.read(request);
    }
}

/// Looks at the whole film first as the decoder's thread does, then plays it; the detectors are
/// asked when a frame is analysed.
fn play(film: &Film, service: &Service, arguments: &Arguments, text: bool) -> anyhow::Result<Run> {
    let rules = if text { format!("{{{FACES}, {WORDS}}}") } else { format!("{{{FACES}}}") };
    let rules: Document = serde_json::from_str(&rules)?;
    let reader = service.reader().context("no text model is loaded")?;
    let count = || AtomicUsize::new(0);
    let counting = Arc::new(Counting { reader, finds: count(), pixels: count(), reads: count() });
    let mut lane = Text::new(counting.clone(), &rules);
    let before = cpu()?;
    let mut looks = Vec::<Look>::new();
    for index in 0..film.frames {
        looks.push(Look::at(&film.picture(index)?, looks.last()));
    }
    let settings = Settings {
        rules,
        fps: arguments.fps,
        max_gap: Duration::from_millis(arguments.gap),
        answer: Duration::from_millis(20),
    };
    let nothing = vec![Vec::new(); looks.len()];
    let (mut analysed, mut problem) = (BTreeSet::new(), None);
    let mut look = |index: u64| {
        analysed.insert(index);
        let answer = film.picture(index).map(Arc::new).and_then(|picture| {
            let mut findings = ask(service, picture.clone())?;
            if let Some(lane) = &mut lane {
                findings.extend(lane.look(picture, index as f64 / arguments.fps));
            }
            Ok(findings)
        });
        answer.unwrap_or_else(|error| {
            problem.get_or_insert(error);
            Vec::new()
        })
    };
    let _ = replay(&looks, &nothing, &settings, &mut look);
    if let Some(error) = problem {
        return Err(error);
    }
    let cpu = cpu()?.saturating_sub(before);
    if let Some(directory) = arguments.kept.as_deref().filter(|_| text) {
        keep(film, directory, &analysed)?;
    }
    let Counting { finds, pixels, reads, .. } = &*counting;
    let (looks, [finds, pixels, reads]) =
        (analysed.len(), [finds, pixels, reads].map(|count| count.load(Relaxed)));
    Ok(Run { cpu, looks, finds, pixels, reads })
}

fn ask(service: &Service, picture: Arc<Picture>) -> anyhow::Result<Vec<Finding>> {
    let (reply, answer) = mpsc::sync_channel(1);
    service.submit(Request {
        stream: 0,
        picture,
        deadline: clock::now() + Duration::from_secs(2),
        need: Need::Required,
        reply: Box::new(move |answer| drop(reply.try_send(answer.result))),
    });
    Ok(answer.recv()??)
}

/// Processor time of the whole process so far, of all its threads, in steps of 10 ms.
fn cpu() -> anyhow::Result<Duration> {
    /// Linux counts in these for everybody, whatever the kernel's own tick is.
    const A_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold spaces; user and system time are the 12th and 13th behind it.
    let (_, fields) = stat.rsplit_once(')').context("no process statistics")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / A_SECOND))
}

/// Writes the analysed pictures, a file each, named by their size and number.
fn keep(film: &Film, directory: &Path, analysed: &BTreeSet<u64>) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    for index in analysed {
        let name = format!("{}x{}-{index:05}.i420", film.size.0, film.size.1);
        write(&film.picture(*index)?, &mut std::fs::File::create(directory.join(name))?)?;
    }
    Ok(())
}
