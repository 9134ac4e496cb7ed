//! Execution providers on NVIDIA GPUs. They are loaded at run time, CUDA is not linked.

use ort::ep::{self, ExecutionProviderDispatch};

use super::Config;
use super::manifest::{Entry, Recipe};

/// CUDA. The exhaustive cuDNN search would take over a second for each new shape.
pub(super) fn cuda() -> ExecutionProviderDispatch {
    ep::CUDA::default()
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure()
}

/// TensorRT with one profile for every shape, and its engines kept beside the models: building
/// one takes minutes.
pub(super) fn tensorrt(config: &Config, entry: &Entry) -> ExecutionProviderDispatch {
    let (least, most) = extents(config, &entry.recipe);
    let name = &entry.input.name;
    let shape = |n: usize, (width, height): (u32, u32)| format!("{name}:{n}x3x{height}x{width}");
    let most = shape(config.batch_size.max(1), most);
    ep::TensorRT::default()
        .with_profile_min_shapes(shape(1, least))
        .with_profile_opt_shapes(&most)
        .with_profile_max_shapes(&most)
        .with_engine_cache(true)
        .with_engine_cache_path(config.models_dir.display())
        .build()
        .error_on_failure()
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
