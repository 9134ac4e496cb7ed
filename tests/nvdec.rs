//! Decoding on a GPU whose driver is made up (`support/nvidia.c`): everything between our decoder and
//! the driver is real. What a real card decodes is for `scripts/gpu-check`.
//!
//! The loader reads where libraries lie when a process begins, so each test runs itself once more.

#![allow(clippy::unwrap_used, reason = "a test; its helpers are no test functions to the lint")]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use scrim::media::decode::Decoder;
use scrim::media::encode::{Config, Encoder};
use scrim::media::engines::{Decoding, Encoding, Opened};
use scrim::media::{Colour, Engine, Engines, Picture, VideoCodec, VideoFrame};

const FAULT: &str = "FAKE_NVIDIA_FAULT";
const LOG: &str = "FAKE_NVIDIA_LOG";
/// Odd, which VP8 keeps and H.264 makes even.
const SIZE: (u32, u32) = (331, 251);

/// Runs `body` in a process of its own, in which the made-up driver is the machine's.
fn with_driver(test: &str, body: impl FnOnce(&Driver)) {
    if let Some(fault) = std::env::var_os(FAULT) {
        let log = std::env::var_os(LOG).unwrap().into();
        return body(&Driver { fault: fault.into(), log });
    }
    let directory = std::env::temp_dir().join(format!("scrim-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let library = directory.join("libcuda.so.1");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-w", "-o"])
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/nvidia.c"))
        .status()
        .expect("cc, which scripts/setup installs");
    assert!(built.success());
    std::os::unix::fs::symlink(&library, directory.join("libnvcuvid.so.1")).unwrap();
    std::fs::write(directory.join("fault"), "none").unwrap();
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("LD_LIBRARY_PATH", &directory)
        .env(FAULT, directory.join("fault"))
        .env(LOG, directory.join("log"))
        .status()
        .unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(ended.success(), "see above");
}

struct Driver {
    fault: PathBuf,
    log: PathBuf,
}

impl Driver {
    fn fails(&self, how: &str) {
        std::fs::write(&self.fault, how).unwrap();
    }

    /// How many lines of the driver's log are these.
    fn noted(&self, line: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|one| *one == line).count()
    }

    /// Contexts and decoders that were made and not ended.
    fn left(&self) -> (usize, usize) {
        let left =
            |what| self.noted(&format!("{what} made")) - self.noted(&format!("{what} ended"));
        (left("context"), left("decoder"))
    }
}

/// A stream of `count` frames with a keyframe at every fifth, a second apart from one another.
fn stream(codec: VideoCodec, count: u64) -> Vec<VideoFrame> {
    let (width, height) = SIZE;
    let (bitrate_bps, fps, colour) = (1_000_000, 30.0, Colour::default());
    let config = Config { codec, width, height, bitrate_bps, fps, colour };
    let mut encoder = Encoder::open(config).unwrap();
    let start = Instant::now();
    let mut picture = Picture::new(width, height);
    (0..count)
        .map(|n| {
            for (y, value) in (0..200).zip((n as u8..).step_by(1)) {
                picture.planes_mut()[0].row_mut(y)[n as usize..].fill(value);
            }
            let encoded = encoder.encode(&picture, n % 5 == 0).unwrap();
            let arrived = start + Duration::from_secs(n);
            VideoFrame {
                codec,
                data: encoded.data,
                rtp_time: 7_000 + n * 90_000,
                keyframe: encoded.keyframe,
                contiguous: true,
                captured: arrived,
                arrived,
            }
        })
        .collect()
}

/// Whether it is what the made-up driver paints as its picture `n`.
fn is_painted(picture: &Picture, n: u8) -> bool {
    let size = (picture.width(), picture.height());
    [SIZE, (SIZE.0 + 1, SIZE.1 + 1)].contains(&size)
        && picture.planes().iter().zip([16, 50, 150]).all(|(plane, base)| {
            (0..plane.height).all(|y| plane.row(y).iter().all(|&sample| sample == base + n))
        })
}

#[test]
fn one_frame_in_is_one_picture_out() {
    with_driver("one_frame_in_is_one_picture_out", |driver| {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let engines = Engines::unproven(&[0, 1]);
            let mut decoders = [0, 1].map(|_| Decoder::open_on(codec, &engines).unwrap());
            for (n, frame) in stream(codec, 40).iter().enumerate() {
                for (gpu, decoder) in (0..).zip(&mut decoders) {
                    let shown = decoder.decode(frame).unwrap().expect("its picture at once");
                    assert!(is_painted(&shown, n as u8), "{codec:?} {n}");
                    assert_eq!(decoder.engine(), Engine::Nvdec(gpu), "each on the next GPU");
                }
            }
            assert_eq!(driver.left(), (2, 2));
            drop((decoders, engines));
            assert_eq!(driver.left(), (0, 0), "nothing is left behind");
        }
    });
}

#[test]
fn a_gpu_that_decodes_wrongly_is_not_believed() {
    with_driver("a_gpu_that_decodes_wrongly_is_not_believed", |driver| {
        let refused = Engines::open(Decoding::Nvdec, Encoding::Software, &[0]).unwrap_err();
        let said = "GPU 0 does not decode: its picture 0 of h264 is not what the stream says";
        assert!(refused.to_string().contains(said), "{refused}");
        let Opened { engines, notes } =
            Engines::open(Decoding::Auto, Encoding::Software, &[0, 1]).unwrap();
        assert!(!engines.decode_on_gpus());
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert_eq!(driver.left(), (0, 0));
        driver.fails("unsupported");
        let refused = Engines::open(Decoding::Nvdec, Encoding::Software, &[0]).unwrap_err();
        assert!(refused.to_string().contains("it does not take h264"), "{refused}");
        driver.fails("absent");
        let refused = Engines::open(Decoding::Nvdec, Encoding::Software, &[0]).unwrap_err();
        assert!(refused.to_string().contains("no CUDA context"), "{refused}");
    });
}

/// `fault` holds from the start on.
fn refused_from_the_start(driver: &Driver, fault: &str) {
    driver.fails(fault);
    let engines = Engines::unproven(&[0]);
    let mut decoder = Decoder::open_on(VideoCodec::H264, &engines).unwrap();
    for (n, frame) in stream(VideoCodec::H264, 28).iter().enumerate() {
        let shown = decoder.decode(frame).unwrap().expect("a picture, of the processor's");
        assert!(!is_painted(&shown, n as u8));
        assert_eq!(decoder.engine(), Engine::Software, "{fault}");
        assert!(!decoder.reason().is_empty());
    }
    // After half a minute a keyframe tries again.
    driver.fails("none");
    let mut engine = Engine::Software;
    for frame in &stream(VideoCodec::H264, 45)[28..] {
        decoder.decode(frame).unwrap();
        engine = decoder.engine();
    }
    assert_eq!(engine, Engine::Nvdec(0), "{fault}");
    assert!(decoder.reason().is_empty());
}

#[test]
fn a_stream_that_the_gpu_does_not_take_is_decoded_by_the_processor() {
    with_driver("a_stream_that_the_gpu_does_not_take_is_decoded_by_the_processor", |driver| {
        for fault in ["full", "unsupported", "lost", "absent"] {
            refused_from_the_start(driver, fault);
        }
        assert_eq!(driver.left(), (0, 0));
    });
}

#[test]
fn a_gpu_that_is_lost_in_mid_stream_costs_pictures_until_the_next_keyframe() {
    with_driver(
        "a_gpu_that_is_lost_in_mid_stream_costs_pictures_until_the_next_keyframe",
        |driver| {
            for (codec, fault) in
                [(VideoCodec::H264, "lost"), (VideoCodec::Vp8, "lost"), (VideoCodec::H264, "torn")]
            {
                driver.fails("none");
                let engines = Engines::unproven(&[0]);
                let mut decoder = Decoder::open_on(codec, &engines).unwrap();
                for (n, frame) in stream(codec, 60).iter().enumerate() {
                    match n {
                        12 => driver.fails(fault),
                        30 => driver.fails("none"),
                        _ => {}
                    }
                    let shown = decoder.decode(frame);
                    let on_gpu = n < 12 || n >= 45;
                    match n {
                        12 => {
                            let needs = decoder.needs_keyframe();
                            assert!(shown.is_err() && needs, "{codec:?} {fault}: {shown:?}");
                        }
                        13 | 14 => assert!(shown.unwrap().is_none() && decoder.needs_keyframe()),
                        _ => {
                            let shown = shown.unwrap().expect("a picture");
                            let painted = (0..=60).any(|n| is_painted(&shown, n));
                            assert_eq!(painted, on_gpu, "{codec:?} {fault} {n}");
                        }
                    }
                    let expected = if on_gpu { Engine::Nvdec(0) } else { Engine::Software };
                    assert_eq!(decoder.engine(), expected, "{codec:?} {fault} {n}");
                }
                drop((decoder, engines));
                assert_eq!(driver.left(), (0, 0), "{codec:?} {fault}");
            }
        },
    );
}

#[test]
fn a_keyframe_that_the_gpu_fails_is_decoded_by_the_processor_at_once() {
    with_driver("a_keyframe_that_the_gpu_fails_is_decoded_by_the_processor_at_once", |driver| {
        let engines = Engines::unproven(&[0]);
        let mut decoder = Decoder::open_on(VideoCodec::H264, &engines).unwrap();
        for (n, frame) in stream(VideoCodec::H264, 20).iter().enumerate() {
            if n == 10 {
                driver.fails("lost");
            }
            let shown = decoder.decode(frame).unwrap().expect("no picture is missing");
            assert_eq!(is_painted(&shown, n as u8), n < 10);
        }
    });
}
