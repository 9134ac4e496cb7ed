//! YOLOv8-style models on ONNX Runtime, loaded at run time.
//!
//! Providers are tried in the configured order; one that fails is never passed over in silence,
//! and the one in use is reported. Every input size a model can meet is run once before it
//! serves, so that no live frame pays for a first time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ort::environment::Environment;
use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::manifest::{self, Entry, Manifest};
use super::model::{Detector, Error, Model, Opened};
use super::post::Decoder;
use super::pre::{Converter, Fit};
use super::{Config, Finding};
use crate::media::Picture;

/// An execution provider that may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    TensorRt,
    Cuda,
    OpenVino,
    Cpu,
}

impl Provider {
    /// The names an operator may use.
    pub(crate) const NAMES: &str = "tensorrt, cuda, openvino, cpu";

    /// By name, or `None` when there is no such provider.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "tensorrt" => Some(Self::TensorRt),
            "cuda" => Some(Self::Cuda),
            "openvino" => Some(Self::OpenVino),
            "cpu" => Some(Self::Cpu),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        }
    }

    /// Whether batches pay.
    fn is_gpu(self) -> bool {
        matches!(self, Self::TensorRt | Self::Cuda)
    }
}

/// Loads ONNX Runtime, or returns the environment that was made before: one a process.
pub(crate) fn environment(library: &Path) -> Result<Environment, Error> {
    static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);
    let mut loaded = LOADED.lock().expect("no panic under this lock");
    if let Some((path, environment)) = loaded.as_ref() {
        if path != library {
            let path = path.display();
            return Err(Error(format!("another one is loaded already, from {path}")));
        }
        return Ok(environment.clone());
    }
    let builder = ort::init_from(library).map_err(Error::new)?;
    let environment =
        builder.with_name("scrim").with_telemetry(false).build().map_err(Error::new)?;
    *loaded = Some((library.to_owned(), environment.clone()));
    Ok(environment)
}

/// A model of the manifest, its file read and verified.
pub(crate) struct Onnx {
    entry: Entry,
    config: Config,
    providers: Vec<Provider>,
    environment: Environment,
    weights: Vec<u8>,
}

impl Onnx {
    /// Reads and verifies the model's file; later openings use what was verified.
    pub(crate) fn new(
        entry: &Entry,
        config: &Config,
        providers: &[Provider],
        environment: &Environment,
    ) -> Result<Self, manifest::Error> {
        Ok(Self {
            weights: entry.load(&config.models_dir)?,
            entry: entry.clone(),
            config: config.clone(),
            providers: providers.to_vec(),
            environment: environment.clone(),
        })
    }

    fn open_on(&self, provider: Provider) -> Result<Opened, Error> {
        let session = self.session(self.dispatch(provider)?).map_err(Error::new)?;
        let batches = provider.is_gpu();
        let classes = self.classes(&session)?;
        let mut detector = Yolo {
            session,
            converter: Converter::new(self.entry.input.clone(), self.config.shape),
            decoder: Decoder {
                classes: classes.clone().into(),
                floor: self.entry.floor,
                nms_iou: self.entry.nms_iou,
            },
            input: self.entry.input.name.clone(),
            // A GPU prepares itself for each batch size, so there are but few of them.
            round_up: batches.then_some(self.config.batch_size.max(1)),
            tensor: Vec::new(),
        };
        detector.warm_up(&self.config)?;
        let provider = provider.name().to_owned();
        Ok(Opened { detector: Box::new(detector), provider, fallback: None, batches, classes })
    }

    fn session(&self, dispatch: Option<ExecutionProviderDispatch>) -> ort::Result<Session> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(self.config.threads_per_session.max(1))?
            .with_inter_threads(1)?
            // A pool that spins between runs would take the cores that decode and encode.
            .with_intra_op_spinning(false)?;
        if let Some(dispatch) = dispatch {
            // Without `error_on_failure`, which it has, the CPU would step in in silence.
            builder = builder.with_execution_providers([dispatch])?;
        }
        builder.commit_from_memory(&self.weights)
    }

    fn dispatch(&self, provider: Provider) -> Result<Option<ExecutionProviderDispatch>, Error> {
        match provider {
            Provider::Cpu => Ok(None),
            Provider::OpenVino => super::openvino::provider(&self.config).map(Some),
            #[cfg(feature = "cuda")]
            Provider::Cuda => Ok(Some(super::gpu::cuda())),
            #[cfg(feature = "cuda")]
            Provider::TensorRt => Ok(Some(super::gpu::tensorrt(&self.config, &self.entry.input))),
            #[cfg(not(feature = "cuda"))]
            Provider::Cuda | Provider::TensorRt => {
                Err(Error::new("this binary was built without the feature cuda"))
            }
        }
    }

    fn classes(&self, session: &Session) -> Result<Vec<Arc<str>>, Error> {
        let names = if self.entry.classes.is_empty() {
            let metadata = session.metadata().map_err(Error::new)?;
            let names = metadata.custom("names").as_deref().and_then(manifest::names_from_metadata);
            names.ok_or_else(|| Error::new("the model names no classes, nor does the manifest"))?
        } else {
            self.entry.classes.clone()
        };
        Ok(names.into_iter().map(Arc::from).collect())
    }
}

impl Model for Onnx {
    fn name(&self) -> &str {
        &self.entry.name
    }

    fn bucket(&self, picture: &Picture) -> u32 {
        let input = &self.entry.input;
        let frame = (picture.width(), picture.height());
        Fit::new(frame, input.base, input.stride, self.config.shape).bucket()
    }

    fn open(&self) -> Result<Opened, Error> {
        let mut problems = Vec::new();
        for &provider in &self.providers {
            match self.open_on(provider) {
                Ok(opened) => {
                    let fallback = (!problems.is_empty()).then(|| problems.join("; "));
                    return Ok(Opened { fallback, ..opened });
                }
                Err(error) => {
                    let (model, provider) = (&self.entry.name, provider.name());
                    tracing::warn!(model, provider, %error, "execution provider failed");
                    problems.push(format!("{provider}: {error}"));
                }
            }
        }
        Err(Error(problems.join("; ")))
    }
}

/// A session with what goes before and after it.
pub(crate) struct Yolo {
    session: Session,
    converter: Converter,
    decoder: Decoder,
    input: String,
    /// Batches are filled up to a power of two, at most this many.
    round_up: Option<usize>,
    tensor: Vec<f32>,
}

impl Yolo {
    /// Runs every input size, on a GPU every batch size of each, on grey pictures.
    fn warm_up(&mut self, config: &Config) -> Result<(), Error> {
        let sizes: Vec<usize> = match self.round_up {
            Some(most) => (0..).map(|i| 1 << i).take_while(|n| *n < most).chain([most]).collect(),
            None => vec![1],
        };
        for (width, height) in self.converter.sizes(config.shape) {
            let picture = Arc::new(Picture::filled(width, height, [128; 3]));
            for &count in &sizes {
                self.run(&vec![picture.clone(); count])?;
            }
        }
        Ok(())
    }

    fn run(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
        let fit = |picture: &Arc<Picture>| self.converter.fit((picture.width(), picture.height()));
        let fits: Vec<Fit> = pictures.iter().map(fit).collect();
        let Some(first) = fits.first() else { return Ok(Vec::new()) };
        let ((width, height), samples) = (first.input, first.samples());
        if fits.iter().any(|fit| fit.input != first.input) {
            return Err(Error::new("a batch of different input shapes"));
        }
        let count = self
            .round_up
            .map_or(fits.len(), |most| fits.len().next_power_of_two().min(most).max(fits.len()));
        self.tensor.resize(count * samples, 0.0);
        let tensors = self.tensor.chunks_exact_mut(samples);
        for ((picture, fit), tensor) in pictures.iter().zip(&fits).zip(tensors) {
            self.converter.convert(picture, fit, tensor);
        }
        let shape = [count, 3, height as usize, width as usize];
        let input = TensorRef::from_array_view((shape, self.tensor.as_slice()));
        let inputs = ort::inputs![self.input.as_str() => input.map_err(Error::new)?];
        let outputs = self.session.run(inputs).map_err(Error::new)?;
        let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(Error::new)?;
        let rows = 4 + self.decoder.classes.len();
        let found: Vec<usize> = shape.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
        let &[batch, found_rows, cells] = found.as_slice() else {
            return Err(Error(format!("an output of shape {found:?}")));
        };
        if (batch, found_rows) != (count, rows) || cells == 0 {
            return Err(Error(format!("an output of shape {found:?}, not [{count}, {rows}, …]")));
        }
        let decode = |(output, fit)| self.decoder.decode(output, fit).map_err(Error::new);
        values.chunks_exact(rows * cells).zip(&fits).map(decode).collect()
    }
}

impl Detector for Yolo {
    fn detect(&mut self, pictures: &[Arc<Picture>]) -> Result<Vec<Vec<Finding>>, Error> {
        #[cfg(any(test, feature = "test-hooks"))]
        super::hooks::fire()?;
        self.run(pictures)
    }
}

/// Opens one model on this thread, without a service: for benches, parity tests, single pictures.
///
/// # Errors
/// When the library, the manifest entry's file or every provider fails.
pub fn open(
    config: &Config,
    manifest: &Manifest,
    model: &str,
) -> Result<Opened, super::StartError> {
    let entry = manifest.models.iter().find(|entry| entry.name == model);
    let entry = entry.ok_or_else(|| super::StartError::UnknownModel { name: model.to_owned() })?;
    let models = super::service::onnx_models(config, std::slice::from_ref(entry))?;
    let failed = |error| super::StartError::Open { model: model.to_owned(), error };
    models[0].open().map_err(failed)
}
