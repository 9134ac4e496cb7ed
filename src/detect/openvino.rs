//! OpenVINO as an execution provider, for what ONNX Runtime's own kernels lack: bfloat16.
//!
//! Convolutions in 32 bits run at the processor's peak already (docs/PERFORMANCE.md), so the only
//! way to more is narrower numbers. bfloat16 has the range of 32 bits and needs no calibration:
//! whatever the class, scores move by the rounding of 8 bits. The library must be one that was
//! built with OpenVINO (`scripts/setup openvino`).

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider as _, ExecutionProviderDispatch};

use super::Config;
use super::model::Error;

/// Multiplications in bfloat16 on this processor.
///
/// # Errors
/// On a processor that cannot: there the provider gains nothing.
pub(super) fn provider(config: &Config) -> Result<ExecutionProviderDispatch, Error> {
    if !has_bf16() {
        return Err(Error::new("this processor has no bfloat16 (avx512_bf16)"));
    }
    let threads = config.threads_per_session.max(1);
    Ok(ep::OpenVINO::default()
        .with_device_type("CPU")
        .with_num_threads(threads)
        // One picture at a time, on the thread that asks.
        .with_num_streams(1)
        .with_arbitrary_config("load_config", r#"{"CPU":{"INFERENCE_PRECISION_HINT":"bf16"}}"#)
        .build()
        // Or the processor's own kernels would step in in silence.
        .error_on_failure())
}

#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16() -> bool {
    false
}
