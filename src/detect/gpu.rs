//! Execution providers on NVIDIA GPUs. They are loaded at run time, CUDA is not linked.

use ort::ep::{self, ExecutionProviderDispatch};

use super::Config;
use super::manifest::Input;

/// CUDA. The exhaustive cuDNN search would take over a second for each new shape.
pub(super) fn cuda() -> ExecutionProviderDispatch {
    ep::CUDA::default()
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure()
}

/// TensorRT with one profile for every shape, and its engines kept beside the models: building
/// one takes minutes.
pub(super) fn tensorrt(config: &Config, input: &Input) -> ExecutionProviderDispatch {
    let sizes = config.shape.sizes(input.base, input.stride);
    let least = sizes.iter().map(|size| size.0.min(size.1)).min().unwrap_or(input.base);
    let shape = |n: usize, side: u32| format!("{}:{n}x3x{side}x{side}", input.name);
    let most = shape(config.batch_size.max(1), input.base);
    ep::TensorRT::default()
        .with_profile_min_shapes(shape(1, least))
        .with_profile_opt_shapes(&most)
        .with_profile_max_shapes(&most)
        .with_engine_cache(true)
        .with_engine_cache_path(config.models_dir.display())
        .build()
        .error_on_failure()
}
