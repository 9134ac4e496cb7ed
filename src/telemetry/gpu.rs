//! What NVIDIA's driver says of the machine's GPUs (NVML). Its library is loaded at run time: without
//! a driver there is nothing to say, and why.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use serde::Serialize;
use tokio::sync::watch;

/// The driver's library, as the driver installs it.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// The driver, asked for figures.
#[derive(Debug)]
pub struct Gpus(Nvml);

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
#[error("no NVIDIA driver answers ({LIBRARY}): {0}")]
pub struct NoGpu(#[from] NvmlError);

/// One GPU at one moment. What a card or a container does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// Its number, as execution providers count.
    pub index: u32,
    /// What it is called.
    pub name: String,
    /// Memory in use by all processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Memory that there is, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Share of the last moments in which something ran on it, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_ratio: Option<f64>,
    /// The same for its video decoders (NVDEC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_busy_ratio: Option<f64>,
    /// Its temperature, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub celsius: Option<u32>,
}

impl Gpus {
    /// Asks the driver for its figures.
    ///
    /// # Errors
    ///
    /// When there is no driver, or it has no GPU that it could speak of.
    pub fn open() -> Result<Self, NoGpu> {
        Ok(Self(Nvml::builder().lib_path(LIBRARY.as_ref()).init()?))
    }

    /// The driver's version, and the newest CUDA that it can run, as `13.0`.
    pub fn versions(&self) -> (Option<String>, Option<String>) {
        let cuda = self.0.sys_cuda_driver_version().ok();
        let cuda = cuda.map(|number| format!("{}.{}", number / 1_000, number % 1_000 / 10));
        (self.0.sys_driver_version().ok(), cuda)
    }

    /// Every GPU that answers.
    pub fn read(&self) -> Vec<Gpu> {
        let count = self.0.device_count().unwrap_or(0);
        (0..count).filter_map(|index| self.one(index)).collect()
    }

    fn one(&self, index: u32) -> Option<Gpu> {
        let device = self.0.device_by_index(index).ok()?;
        let memory = device.memory_info().ok();
        let share = |percent: u32| f64::from(percent) / 100.0;
        Some(Gpu {
            index,
            name: device.name().unwrap_or_else(|_| "unnamed".into()),
            memory_used_bytes: memory.as_ref().map(|memory| memory.used),
            memory_total_bytes: memory.as_ref().map(|memory| memory.total),
            busy_ratio: device.utilization_rates().ok().map(|rates| share(rates.gpu)),
            decoder_busy_ratio: device.decoder_utilization().ok().map(|one| share(one.utilization)),
            celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        })
    }
}

/// Shows whoever scrapes what was last said of the GPUs.
#[derive(Debug)]
pub struct GpuCollector(pub watch::Receiver<Vec<Gpu>>);

impl Collector for GpuCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        show(&self.0.borrow(), encoder)
    }
}

/// A name, what it means, and where a GPU's figure comes from.
type Shown = (&'static str, &'static str, fn(&Gpu) -> Option<f64>);

fn show(gpus: &[Gpu], mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let gauges: [Shown; 5] = [
        ("scrim_gpu_memory_used_bytes", "Memory of a GPU in use by all processes", |gpu| {
            gpu.memory_used_bytes.map(|bytes| bytes as f64)
        }),
        ("scrim_gpu_memory_bytes", "Memory that a GPU has", |gpu| {
            gpu.memory_total_bytes.map(|bytes| bytes as f64)
        }),
        ("scrim_gpu_busy_ratio", "Share of the last moments in which a GPU worked", |gpu| {
            gpu.busy_ratio
        }),
        ("scrim_gpu_decoder_busy_ratio", "The same for a GPU's video decoders", |gpu| {
            gpu.decoder_busy_ratio
        }),
        ("scrim_gpu_celsius", "Temperature of a GPU", |gpu| gpu.celsius.map(f64::from)),
    ];
    for (name, help, figure) in gauges {
        let kind = ConstGauge::new(0.0).metric_type();
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for gpu in gpus {
            let Some(value) = figure(gpu) else { continue };
            let labels = [("gpu", gpu.index.to_string()), ("name", gpu.name.clone())];
            ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::telemetry::render;

    #[test]
    fn a_scrape_shows_what_each_card_tells() {
        let card = |index, celsius| Gpu { index, name: "H100".into(), celsius, ..Gpu::default() };
        let mut registry = Registry::default();
        let (_told, said) = watch::channel(vec![card(0, Some(41)), card(1, None)]);
        registry.register_collector(Box::new(GpuCollector(said)));
        let text = render(&registry, false).unwrap();
        assert!(text.contains("scrim_gpu_celsius{gpu=\"0\",name=\"H100\"} 41"), "{text}");
        assert!(!text.contains("gpu=\"1\""), "{text}");
    }

    /// On a machine without a driver the reason names what is missing; with one, every card has a
    /// name.
    #[test]
    fn there_are_figures_or_a_reason() {
        match Gpus::open() {
            Ok(gpus) => assert!(gpus.read().iter().all(|gpu| !gpu.name.is_empty())),
            Err(error) => assert!(error.to_string().contains(LIBRARY), "{error}"),
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let gpu = Gpu { index: 1, name: "H100".into(), celsius: Some(41), ..Gpu::default() };
        let text = serde_json::to_string(&gpu).unwrap();
        assert_eq!(text, r#"{"index":1,"name":"H100","celsius":41}"#);
    }
}
