//! Which engines decode and encode: those of GPUs where the operator wants them and they work, else
//! the processor.
//!
//! NVDEC is used through FFmpeg's own decoders (`hwaccel cuda`), not through NVIDIA's (`h264_cuvid`
//! and its like): the parser, the bookkeeping of references and the order of pictures stay those of
//! the processor's decoder, so one frame in is one picture out, lost references are noticed, and
//! a stream that the engine does not take goes on in software by itself. Only the slices are
//! decoded elsewhere.
//!
//! What the detectors look at must be what viewers are shown, so a GPU is not believed: it decodes
//! a few pictures at the start, and each sample must be the processor's.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::ffmpeg::{self, cuda::Device};

mod proof;

/// What FFmpeg does not say when it gets no context; its own error misleads.
const NO_CONTEXT: &str = "no CUDA context: its driver or the GPU is missing, or its memory is full; \
                          `scrim check-gpu` says which";

/// `media.decoder`: what decodes streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoding {
    /// NVDEC where there is one that works, else the processor.
    Auto,
    /// NVDEC; a machine without one is no machine to start on.
    Nvdec,
    /// The processor.
    #[default]
    Software,
}

/// `media.encoder`: what encodes streams in H.264. VP8 is always encoded by the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// NVENC where there is one that works, else the processor.
    Auto,
    /// NVENC; a machine without one is no machine to start on.
    Nvenc,
    /// The processor.
    #[default]
    Software,
}

/// What decoded or encodes a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// The processor.
    #[default]
    Software,
    /// The decoder of a GPU, by the GPU's number.
    Nvdec(u32),
    /// The encoder of a GPU, by the GPU's number.
    Nvenc(u32),
}

impl Engine {
    /// As a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Nvdec(_) => "nvdec",
            Self::Nvenc(_) => "nvenc",
        }
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Software => f.write_str("software"),
            Self::Nvdec(number) => write!(f, "NVDEC of GPU {number}"),
            Self::Nvenc(number) => write!(f, "NVENC of GPU {number}"),
        }
    }
}

/// Why the engine that was asked for cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No GPU can decode.
    #[error("media.decoder is \"nvdec\", and no GPU of detect.devices decodes: {0}")]
    Decoder(String),
    /// No GPU can encode.
    #[error("media.encoder is \"nvenc\", and no GPU of detect.devices encodes: {0}")]
    Encoder(String),
}

/// The engines of this process; clones share them. The default is the processor alone.
#[derive(Clone, Debug, Default)]
pub struct Engines(Arc<Cards>);

#[derive(Debug, Default)]
struct Cards {
    decode: Vec<Arc<Card>>,
    encode: Vec<u32>,
    turn: AtomicUsize,
}

/// One GPU that decodes.
#[derive(Debug)]
pub(super) struct Card {
    number: u32,
    /// Made anew by whoever next needs it after it was lost.
    device: Mutex<Option<Device>>,
}

/// A stream's place on a GPU.
#[derive(Debug)]
pub(super) struct Seat {
    card: Arc<Card>,
    device: Device,
}

/// Engines, and what an operator should be told of them.
#[derive(Debug)]
pub struct Opened {
    /// The engines.
    pub engines: Engines,
    /// A GPU that could not be used although `auto` would have used it, and why; a sentence each.
    pub notes: Vec<String>,
}

impl Engines {
    /// Opens what is wanted of the GPUs with these numbers, and proves that it works. Takes up to a
    /// second for each, or longer where a driver does: not for an async thread.
    ///
    /// # Errors
    /// When what was asked for by name does not work on any of them.
    pub fn open(decoder: Decoding, encoder: Encoding, devices: &[u32]) -> Result<Opened, Error> {
        ffmpeg::init();
        let mut notes = Vec::new();
        let mut decode = Vec::new();
        if decoder != Decoding::Software {
            for &number in devices {
                match Card::open(number) {
                    Ok(card) => decode.push(card),
                    Err(why) => notes.push(format!("GPU {number} does not decode: {why}")),
                }
            }
            if decoder == Decoding::Nvdec && decode.is_empty() {
                return Err(Error::Decoder(notes.join("; ")));
            }
        }
        let mut encode = Vec::new();
        if encoder != Encoding::Software {
            let before = notes.len();
            for &number in devices {
                match proof::encodes(number) {
                    Ok(()) => encode.push(number),
                    Err(why) => notes.push(format!("GPU {number} does not encode: {why}")),
                }
            }
            if encoder == Encoding::Nvenc && encode.is_empty() {
                return Err(Error::Encoder(notes[before..].join("; ")));
            }
        }
        let turn = AtomicUsize::new(0);
        Ok(Opened { engines: Self(Arc::new(Cards { decode, encode, turn })), notes })
    }

    /// GPUs that decode, as [`Engines::open`] takes them, but without the proof: for drivers that
    /// are made up. Only for tests.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn unproven(devices: &[u32]) -> Self {
        ffmpeg::init();
        let card = |&number: &u32| Arc::new(Card { number, device: Mutex::new(None) });
        let decode = devices.iter().map(card).collect();
        Self(Arc::new(Cards { decode, ..Cards::default() }))
    }

    /// Whether streams are decoded on GPUs.
    pub fn decode_on_gpus(&self) -> bool {
        !self.0.decode.is_empty()
    }

    /// What new streams are decoded and encoded with, for a person.
    pub fn describe(&self) -> (String, String) {
        let list = |engines: Vec<String>| match engines.is_empty() {
            true => Engine::Software.to_string(),
            false => engines.join(", "),
        };
        let decode = self.0.decode.iter().map(|card| Engine::Nvdec(card.number).to_string());
        let encode = self.0.encode.iter().map(|&number| Engine::Nvenc(number).to_string());
        (list(decode.collect()), list(encode.collect()))
    }

    /// A place for a decoder on the next GPU; `None` where there is none to use.
    ///
    /// # Errors
    /// Why that GPU cannot be used now.
    pub(super) fn seat(&self) -> Option<Result<Seat, String>> {
        let cards = &self.0.decode;
        let card = cards.get(self.0.turn.fetch_add(1, Relaxed) % cards.len().max(1))?.clone();
        let device = card.device().map_err(|why| format!("GPU {}: {why}", card.number));
        Some(device.map(|device| Seat { card, device }))
    }

    /// The GPU that the next encoder is on; `None` where there is none to use.
    pub(super) fn encoder(&self) -> Option<u32> {
        let numbers = &self.0.encode;
        numbers.get(self.0.turn.fetch_add(1, Relaxed) % numbers.len().max(1)).copied()
    }
}

impl Card {
    /// Opens a GPU and has it prove that it decodes.
    fn open(number: u32) -> Result<Arc<Self>, String> {
        let card = Arc::new(Self { number, device: Mutex::new(None) });
        card.device()?;
        proof::decodes(&card)?;
        Ok(card)
    }

    /// The GPU's context, made where there is none.
    fn device(&self) -> Result<Device, String> {
        let mut slot = self.slot();
        if slot.is_none() {
            *slot = Some(Device::open(self.number).map_err(|_| NO_CONTEXT)?);
        }
        slot.as_ref().and_then(Device::share).ok_or_else(|| "out of memory".to_owned())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Device>> {
        self.device.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Seat {
    /// A place on this very GPU.
    fn on(card: &Arc<Card>) -> Result<Self, String> {
        Ok(Self { device: card.device()?, card: card.clone() })
    }

    /// What decodes here.
    pub(super) fn engine(&self) -> Engine {
        Engine::Nvdec(self.card.number)
    }

    /// The context, for a decoder. `None` when memory is out.
    pub(super) fn device(&self) -> Option<Device> {
        self.device.share()
    }

    /// The GPU failed. Its context may never work again, so whoever comes next makes another; those
    /// who still use the old one notice by themselves.
    pub(super) fn lost(self) {
        let mut slot = self.card.slot();
        if slot.as_ref().is_some_and(|device| device.is(&self.device)) {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine without a driver: with one this says nothing.
    #[test]
    fn without_a_driver_auto_is_the_processor_and_nvdec_is_refused() {
        if std::path::Path::new("/dev/nvidiactl").exists() {
            return;
        }
        let Opened { engines, notes } =
            Engines::open(Decoding::Auto, Encoding::Auto, &[0, 1]).unwrap();
        assert!(!engines.decode_on_gpus() && engines.seat().is_none());
        assert_eq!(engines.describe(), ("software".into(), "software".into()));
        assert_eq!(notes.len(), 4, "{notes:?}");
        let refused = Engines::open(Decoding::Nvdec, Encoding::Software, &[0]).unwrap_err();
        assert!(refused.to_string().contains("GPU 0 does not decode: no CUDA"), "{refused}");
        let refused = Engines::open(Decoding::Software, Encoding::Nvenc, &[3]).unwrap_err();
        assert!(refused.to_string().contains("GPU 3 does not encode"), "{refused}");
        let nothing = Engines::open(Decoding::Software, Encoding::Software, &[0]).unwrap();
        assert!(nothing.notes.is_empty());
    }
}
