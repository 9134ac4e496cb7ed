//! Execution providers on NVIDIA GPUs. They are loaded at run time, CUDA is not linked.

use std::path::PathBuf;

use ort::ep::{self, ExecutionProviderDispatch};

use super::Config;
use super::manifest::{Entry, Recipe};
use super::model::Error;

/// CUDA on one GPU. The exhaustive cuDNN search would take over a second for each new shape; memory
/// grows by what is asked for, because sessions of other models share the card.
pub(super) fn cuda(config: &Config, device: i32) -> ExecutionProviderDispatch {
    let provider = ep::CUDA::default()
        .with_device_id(device)
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
    let provider = match config.gpu_memory {
        0 => provider,
        bytes => provider.with_memory_limit(bytes),
    };
    provider.build().error_on_failure()
}

/// TensorRT on one GPU, with one profile for every shape. Building an engine takes minutes, so
/// engines and the timings they were built by are kept, in a directory for each model file; their
/// names hold the GPU's architecture and the versions of TensorRT and ONNX Runtime.
///
/// # Errors
/// When the directory cannot be made.
pub(super) fn tensorrt(
    config: &Config,
    entry: &Entry,
    device: i32,
) -> Result<ExecutionProviderDispatch, Error> {
    let (least, most) = extents(config, &entry.recipe);
    let name = &entry.input.name;
    let shape = |n: usize, (width, height): (u32, u32)| format!("{name}:{n}x3x{height}x{width}");
    let most = shape(config.batch_size.max(1), most);
    let cache = cache(config, entry);
    let failed = |error| Error(format!("cannot make {}: {error}", cache.display()));
    std::fs::create_dir_all(&cache).map_err(failed)?;
    let provider = ep::TensorRT::default()
        .with_device_id(device)
        .with_fp16(config.half_precision)
        .with_profile_min_shapes(shape(1, least))
        .with_profile_opt_shapes(&most)
        .with_profile_max_shapes(&most)
        .with_engine_cache(true)
        .with_engine_cache_path(cache.display())
        .with_timing_cache(true)
        .with_timing_cache_path(cache.display());
    let provider = match config.gpu_memory {
        0 => provider,
        bytes => provider.with_max_workspace_size(bytes),
    };
    Ok(provider.build().error_on_failure())
}

/// Where a model's engines are kept.
fn cache(config: &Config, entry: &Entry) -> PathBuf {
    let precision = if config.half_precision { "fp16" } else { "fp32" };
    let hash = entry.sha256.get(..16).unwrap_or(&entry.sha256);
    config.models_dir.join("tensorrt").join(format!("{hash}-{precision}"))
}

/// Width and height of the smallest and of the largest input.
fn extents(config: &Config, recipe: &Recipe) -> ((u32, u32), (u32, u32)) {
    let ends =
        |sizes: &[u32]| (sizes.first().copied().unwrap_or(1), sizes.last().copied().unwrap_or(1));
    match recipe {
        Recipe::Yolov8(recipe) => {
            let sizes = config.shape.sizes(recipe.base, recipe.stride);
            let least = sizes.iter().map(|size| size.0.min(size.1)).min().unwrap_or(recipe.base);
            ((least, least), (recipe.base, recipe.base))
        }
        Recipe::Db(recipe) => {
            let (least, most) = ends(&recipe.sides);
            ((least, least), (most, most))
        }
        Recipe::Ctc(recipe) => {
            let (least, most) = ends(&recipe.widths);
            ((least, recipe.height), (most, recipe.height))
        }
    }
}
