//! What a service is made of, and what can be wrong with it.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::available_parallelism;

use super::Config;
use super::manifest::{self, Entry, Manifest, Recipe};
use super::model::{Error, Model, Opened, Role, Task};
use super::onnx::{Provider, Sessions, environment};
use super::text::{Find, Finder, Read, Recogniser};
use super::worker::Pool;
use super::yolo::Yolo;

/// Workers of a model on each GPU: one prepares its pictures while the other's are in the model.
const GPU_WORKERS: usize = 2;

/// The models of a service.
pub struct Models {
    /// Look at every picture that is handed in; at least one.
    pub regions: Vec<Arc<dyn Model>>,
    /// Find lines of text and read them.
    pub text: Option<TextModels>,
}

/// The pair of models that text needs.
pub struct TextModels {
    /// Finds lines.
    pub find: Arc<dyn Model<Find>>,
    /// Reads them.
    pub read: Arc<dyn Model<Read>>,
}

/// Why detection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to run.
    #[error("no detection model is configured")]
    NoModel,
    /// The manifest has no such model.
    #[error("the manifest has no model named {name}")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
    },
    /// Not an execution provider.
    #[error("unknown execution provider {name:?}; allowed: {}", Provider::NAMES)]
    UnknownProvider {
        /// The name that was given.
        name: String,
    },
    /// No execution provider was given.
    #[error("no execution provider is configured; allowed: {}", Provider::NAMES)]
    NoProvider,
    /// A model's file is missing or is not what it should be.
    #[error(transparent)]
    Model(#[from] manifest::Error),
    /// ONNX Runtime cannot be loaded.
    #[error("cannot load ONNX Runtime from {}: {error}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// Why.
        error: Error,
    },
    /// A model does not load, or its first runs fail, on every provider.
    #[error("cannot open model {model}: {error}")]
    Open {
        /// The model.
        model: String,
        /// Why, a provider each.
        error: Error,
    },
    /// Two models that are asked the same about text.
    #[error("{model} is the second model that {role} lines of text; there can be one")]
    Twice {
        /// What both do.
        role: &'static str,
        /// The second.
        model: String,
    },
    /// Half of a text pair.
    #[error("{model} cannot work alone: no model that {missing} lines of text is configured")]
    Alone {
        /// The model that is there.
        model: String,
        /// What the other one would do.
        missing: &'static str,
    },
    /// The system has no thread to give.
    #[error("cannot start a detection thread")]
    Thread(#[source] std::io::Error),
}

/// Reads and verifies the models, and loads the library they run on.
pub(super) fn onnx_models(config: &Config, models: &[Entry]) -> Result<Models, StartError> {
    if config.providers.is_empty() {
        return Err(StartError::NoProvider);
    }
    let parse = |name: &String| {
        Provider::parse(name).ok_or_else(|| StartError::UnknownProvider { name: name.clone() })
    };
    let providers: Vec<Provider> = config.providers.iter().map(parse).collect::<Result<_, _>>()?;
    let path = &config.onnxruntime;
    let environment =
        environment(path).map_err(|error| StartError::Runtime { path: path.clone(), error })?;
    let mut loaded = Loaded::default();
    for entry in models {
        loaded.add(entry, Sessions::new(entry, config, &providers, &environment)?)?;
    }
    loaded.finish()
}

/// Models as they are read, one by one.
#[derive(Default)]
struct Loaded {
    regions: Vec<Arc<dyn Model>>,
    find: Option<Arc<dyn Model<Find>>>,
    read: Option<Arc<dyn Model<Read>>>,
}

impl Loaded {
    fn add(&mut self, entry: &Entry, sessions: Sessions) -> Result<(), StartError> {
        let again = match &entry.recipe {
            Recipe::Yolov8(recipe) => {
                self.regions.push(Arc::new(Yolo::new(sessions, recipe)));
                return Ok(());
            }
            Recipe::Db(recipe) => {
                self.find.replace(Arc::new(Finder::new(sessions, recipe))).is_some()
            }
            Recipe::Ctc(recipe) => {
                self.read.replace(Arc::new(Recogniser::new(sessions, recipe))).is_some()
            }
        };
        let role = if matches!(entry.recipe, Recipe::Db(_)) { "finds" } else { "reads" };
        let twice = || StartError::Twice { role, model: entry.name.clone() };
        if again { Err(twice()) } else { Ok(()) }
    }

    fn finish(self) -> Result<Models, StartError> {
        let alone = |model: &str, missing| StartError::Alone { model: model.to_owned(), missing };
        let text = match (self.find, self.read) {
            (Some(find), Some(read)) => Some(TextModels { find, read }),
            (Some(find), None) => return Err(alone(find.name(), "reads")),
            (None, Some(read)) => return Err(alone(read.name(), "finds")),
            (None, None) => None,
        };
        Ok(Models { regions: self.regions, text })
    }
}

/// Starts a model's workers; the first says what it runs on, and so how many there are.
pub(super) fn open_workers<T: Task>(pool: &Arc<Pool<T>>, workers: usize) -> Result<(), StartError> {
    let failed = |error| StartError::Open { model: pool.model.name().to_owned(), error };
    let hire = |count: usize| -> Result<(), StartError> {
        let (ready, opened) = mpsc::sync_channel(count);
        for _ in 0..count {
            pool.hire(Some(ready.clone())).map_err(StartError::Thread)?;
        }
        drop(ready);
        for _ in 0..count {
            let gone = |_| Err(Error::new("its thread ended"));
            opened.recv().unwrap_or_else(gone).map_err(failed)?;
        }
        Ok(())
    };
    hire(1)?;
    let gpus = pool.gpus();
    let cores = available_parallelism().map_or(1, usize::from);
    let wanted = match (workers, T::ROLE) {
        (0, Role::Regions) if pool.lock().batches => GPU_WORKERS * gpus,
        (0, Role::Regions) => cores,
        (0, Role::Lines | Role::Glyphs) if pool.lock().batches => gpus,
        // Lines are covered until they are read; regions are what every frame waits for.
        (0, Role::Lines | Role::Glyphs) => (cores / 2).max(1),
        (workers, _) => workers,
    };
    hire(wanted - 1)?;
    pool.lock().state.wanted = wanted;
    Ok(())
}

/// Opens one region detector on this thread, without a service: for benches, parity tests, single
/// pictures.
///
/// # Errors
/// When the library, the manifest entry's file or every provider fails, or the model is not one.
pub fn open(config: &Config, manifest: &Manifest, model: &str) -> Result<Opened, StartError> {
    let unknown = || StartError::UnknownModel { name: model.to_owned() };
    let entry = manifest.models.iter().find(|entry| entry.name == model).ok_or_else(unknown)?;
    let models = onnx_models(config, std::slice::from_ref(entry))?;
    let failed = |error| StartError::Open { model: model.to_owned(), error };
    models.regions.first().ok_or_else(unknown)?.open().map_err(failed)
}
