//! What an operator may say about detection.

use std::path::PathBuf;
use std::time::Duration;

use super::pre::Shape;

/// How models are run. Every field has a default; the paths are relative to the working directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The ONNX Runtime library, 1.24 or newer; loaded once a process.
    pub onnxruntime: PathBuf,
    /// Where the files of the manifest lie.
    pub models_dir: PathBuf,
    /// Execution providers in the order they are tried: `tensorrt`, `cuda`,
    /// `openvino`, `cpu`.
    pub providers: Vec<String>,
    /// GPUs that `cuda` and `tensorrt` use, by number, in turn: each session that is opened is on the
    /// next one. At least one.
    pub devices: Vec<u32>,
    /// Whether TensorRT may calculate with 16 bits.
    pub half_precision: bool,
    /// Most memory of a GPU that one session may take, in bytes; 0: as much as it wants.
    pub gpu_memory: usize,
    /// Threads with a session of their own, a region detector. 0: one per core on a CPU, two
    /// on each GPU.
    pub workers: usize,
    /// The same for each of the two text models. 0: half as many as there are cores, or one on
    /// each GPU.
    pub text_workers: usize,
    /// Threads inside one session. More than one gains little and suffers under load.
    pub threads_per_session: usize,
    /// Most pictures in one run on a GPU. A CPU gains nothing from batches and takes one by one.
    pub batch_size: usize,
    /// How long the first picture of a batch waits for company on a GPU.
    pub batch_max_wait: Duration,
    /// How long one run may take before it is given up and its worker is replaced.
    pub limit: Duration,
    /// Requests that wait, a model; when full, optional ones go first, then the longest stream's.
    pub queue: usize,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long an open breaker waits before it lets one request try.
    pub breaker_retry: Duration,
    /// The form of the model's input.
    pub shape: Shape,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            onnxruntime: ".scrim/onnxruntime/libonnxruntime.so".into(),
            models_dir: ".scrim/models".into(),
            providers: vec!["cpu".into()],
            devices: vec![0],
            half_precision: true,
            gpu_memory: 0,
            workers: 0,
            text_workers: 0,
            threads_per_session: 1,
            batch_size: 8,
            batch_max_wait: Duration::from_millis(30),
            limit: Duration::from_secs(2),
            queue: 128,
            breaker_failures: 5,
            breaker_retry: Duration::from_secs(3),
            shape: Shape::Rectangular,
        }
    }
}
