//! Models on ONNX Runtime, loaded at run time: sessions for what knows a family of models.
//!
//! Providers are tried in the configured order; one that fails is never passed over in silence,
//! and the one in use is reported. Every input size a model can meet is run once before it
//! serves, so that no live frame pays for a first time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ort::environment::Environment;
use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::manifest::{self, Entry};
use super::model::{Error, Opened, Task};
use super::{Config, openvino};

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

    /// As an operator writes it.
    pub(super) fn name(self) -> &'static str {
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
    // The setting comes too late for what is told while the environment is made: `main` says no
    // before that.
    let builder = ort::init_from(library).map_err(Error::new)?;
    let environment =
        builder.with_name("scrim").with_telemetry(false).build().map_err(Error::new)?;
    *loaded = Some((library.to_owned(), environment.clone()));
    Ok(environment)
}

/// Opens sessions of one model of the manifest, its file read and verified.
pub(super) struct Sessions {
    pub entry: Entry,
    pub config: Config,
    providers: Vec<Provider>,
    /// Sessions opened so far: says whose turn it is among the GPUs.
    opened: AtomicUsize,
    environment: Environment,
    weights: Vec<u8>,
}

impl Sessions {
    /// Reads and verifies the model's file; later openings use what was verified.
    pub(super) fn new(
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
            opened: AtomicUsize::new(0),
            environment: environment.clone(),
        })
    }

    /// Opens a session on the first provider on which `build` makes a detector of it.
    ///
    /// # Errors
    /// When none does; why, a provider each.
    pub(super) fn open<T: Task>(
        &self,
        build: impl Fn(Session, Provider) -> Result<Opened<T>, Error>,
    ) -> Result<Opened<T>, Error> {
        let mut problems = Vec::new();
        let device = self.next_device();
        for &provider in &self.providers {
            let session = self
                .dispatch(provider, device)
                .and_then(|dispatch| self.session(dispatch).map_err(Error::new));
            match session.and_then(|session| build(session, provider)) {
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

    /// Batch sizes that a provider has to be prepared for. A GPU prepares itself for each, so
    /// there are but few of them: powers of two.
    pub(super) fn batches(&self, provider: Provider) -> Batches {
        Batches(provider.is_gpu().then_some(self.config.batch_size.max(1)))
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

    /// The GPU that a new session is on, should it be on one.
    fn next_device(&self) -> i32 {
        let devices = &self.config.devices;
        let turn = self.opened.fetch_add(1, Relaxed) % devices.len().max(1);
        devices.get(turn).and_then(|&device| i32::try_from(device).ok()).unwrap_or(0)
    }

    #[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "for GPUs only"))]
    fn dispatch(
        &self,
        provider: Provider,
        device: i32,
    ) -> Result<Option<ExecutionProviderDispatch>, Error> {
        match provider {
            Provider::Cpu => Ok(None),
            Provider::OpenVino => openvino::provider(&self.config).map(Some),
            #[cfg(feature = "cuda")]
            Provider::Cuda => Ok(Some(super::gpu::cuda(&self.config, device))),
            #[cfg(feature = "cuda")]
            Provider::TensorRt => super::gpu::tensorrt(&self.config, &self.entry, device).map(Some),
            #[cfg(not(feature = "cuda"))]
            Provider::Cuda | Provider::TensorRt => {
                Err(Error::new("this binary was built without the feature cuda"))
            }
        }
    }
}

/// How many inputs a run has: on a GPU a power of two, filled up with what is left in the tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batches(Option<usize>);

impl Batches {
    /// The size of a run with `count` inputs.
    pub(super) fn round(self, count: usize) -> usize {
        let fill = |most: usize| count.next_power_of_two().min(most).max(count);
        self.0.map_or(count, fill)
    }

    /// Every size there is: what is run before serving.
    pub(super) fn sizes(self) -> Vec<usize> {
        match self.0 {
            Some(most) => (0..).map(|i| 1 << i).take_while(|n| *n < most).chain([most]).collect(),
            None => vec![1],
        }
    }

    /// Whether more than one at a time pays.
    pub(super) fn pay(self) -> bool {
        self.0.is_some()
    }
}

/// Runs `tensor`, `[count, 3, height, width]`, and hands the first output with its shape to `read`.
///
/// # Errors
/// When the run fails, or `read` does.
pub(super) fn run<R>(
    session: &mut Session,
    input: &str,
    (shape, tensor): ([usize; 4], &[f32]),
    read: impl FnOnce(&[usize], &[f32]) -> Result<R, Error>,
) -> Result<R, Error> {
    let input_value = TensorRef::from_array_view((shape, tensor)).map_err(Error::new)?;
    let inputs = ort::inputs![input => input_value];
    let outputs = session.run(inputs).map_err(Error::new)?;
    let (shape, values) = outputs[0].try_extract_tensor::<f32>().map_err(Error::new)?;
    let shape: Vec<usize> = shape.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
    read(&shape, values)
}
