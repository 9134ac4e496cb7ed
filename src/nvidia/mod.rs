//! What this machine lacks for what the configuration asks of NVIDIA's: driver, CUDA, cuDNN, TensorRT.
//!
//! Nothing is loaded for it, so it also speaks where loading fails. What is found is an input, and the
//! judgement is pure.

use std::fmt;

use crate::config::Config;
use crate::media::engines::{Decoding, Encoding};
use crate::runtime::Outcome;

mod machine;

pub use machine::Machine;

/// Oldest driver that runs CUDA 13, its first number.
const DRIVER: u32 = 580;
/// Oldest CUDA that a driver must be able to run.
const CUDA: u32 = 13;

/// What the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Models on CUDA: `detect.providers`.
    pub cuda: bool,
    /// Models on TensorRT: `detect.providers`.
    pub tensorrt: bool,
    /// Decoding on NVDEC, by name.
    pub nvdec: bool,
    /// Encoding on NVENC, by name.
    pub nvenc: bool,
}

/// One thing that is missing or too old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key that asked for it.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub mend: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.what, self.mend)
    }
}

const BY_SETUP: &str = "install it with scripts/setup cuda, or CUDA 13's runtime libraries yourself, \
                        and name their directory in LD_LIBRARY_PATH";
const BY_DRIVER: &str = "it comes with NVIDIA's driver; in a container, ask for the capability \
                         \"video\" (NVIDIA_DRIVER_CAPABILITIES)";
const TENSORRT: &str = "install TensorRT 10 for CUDA 13, and name its directory in LD_LIBRARY_PATH";
const UPDATE: &str = "install NVIDIA's driver 580 or newer";
const REBUILD: &str = "build with cargo build --release --features cuda";
const RUNTIME: &str = "run scripts/setup onnxruntime-gpu, and set detect.onnxruntime to \
                       .scrim/onnxruntime-gpu/libonnxruntime.so";

/// A library, who needs it, and where it comes from.
type Need = (&'static str, fn(&Wanted) -> Option<&'static str>, &'static str);

const PROVIDERS: &str = "detect.providers";

/// What the providers of ONNX Runtime 1.31 and FFmpeg load, by the names they load them by.
const LIBRARIES: [Need; 10] = [
    ("libcudart.so.13", models, BY_SETUP),
    ("libcublas.so.13", models, BY_SETUP),
    ("libcublasLt.so.13", models, BY_SETUP),
    ("libcurand.so.10", models, BY_SETUP),
    ("libcufft.so.12", models, BY_SETUP),
    ("libcudnn.so.9", models, BY_SETUP),
    ("libnvinfer.so.10", |wanted| wanted.tensorrt.then_some(PROVIDERS), TENSORRT),
    ("libnvonnxparser.so.10", |wanted| wanted.tensorrt.then_some(PROVIDERS), TENSORRT),
    ("libnvcuvid.so.1", |wanted| wanted.nvdec.then_some("media.decoder"), BY_DRIVER),
    ("libnvidia-encode.so.1", |wanted| wanted.nvenc.then_some("media.encoder"), BY_DRIVER),
];

fn models(wanted: &Wanted) -> Option<&'static str> {
    (wanted.cuda || wanted.tensorrt).then_some(PROVIDERS)
}

impl Wanted {
    /// What a configuration asks for.
    pub fn of(config: &Config) -> Self {
        let provider = |name: &str| config.detect.providers.iter().any(|one| one == name);
        Self {
            cuda: provider("cuda"),
            tensorrt: provider("tensorrt"),
            nvdec: config.media.decoder == Decoding::Nvdec,
            nvenc: config.media.encoder == Encoding::Nvenc,
        }
    }

    /// Whether it asks for anything.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    /// The first key that asks for something.
    fn key(&self) -> &'static str {
        models(self).unwrap_or(if self.nvdec { "media.decoder" } else { "media.encoder" })
    }
}

/// Everything that is missing or too old, what stands in the way of the rest first. Empty when nothing is
/// wanted.
pub fn problems(wanted: &Wanted, machine: &Machine) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !wanted.is_any() {
        return problems;
    }
    let key = wanted.key();
    let mut add = |key, what, mend| problems.push(Problem { key, what, mend });
    if let Some(error) = &machine.no_driver {
        add(key, error.clone(), UPDATE);
    } else {
        if machine.gpus.is_empty() {
            add(key, "the driver answers and has no GPU".to_owned(), "look at nvidia-smi");
        }
        if let Some(found) = machine.driver.as_ref().filter(|one| first(one) < DRIVER) {
            add(key, format!("the driver is {found}, and CUDA 13 needs {DRIVER}"), UPDATE);
        } else if let Some(found) = machine.cuda.as_ref().filter(|one| first(one) < CUDA) {
            add(key, format!("the driver runs CUDA {found}, and {CUDA} is needed"), UPDATE);
        }
    }
    if let Some(key) = models(wanted) {
        if !machine.built_with_cuda {
            add(key, "this binary was built without CUDA".to_owned(), REBUILD);
        }
        for (name, wanted) in [("cuda", wanted.cuda), ("tensorrt", wanted.tensorrt)] {
            let file = format!("libonnxruntime_providers_{name}.so");
            if wanted && !machine.beside_runtime.contains(&file) {
                add(key, format!("{file} is not beside detect.onnxruntime"), RUNTIME);
            }
        }
    }
    for (library, needs, mend) in &LIBRARIES {
        let Some(key) = needs(wanted).filter(|_| !machine.libraries.contains(*library)) else {
            continue;
        };
        let other = machine.other_version(library);
        let but = other.map(|found| format!(", but {found} is")).unwrap_or_default();
        add(key, format!("{library} is not found{but}"), mend);
    }
    problems
}

/// The first number of a version; 0 when it has none.
fn first(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// `scrim check-gpu`: looks, prints what is there and what is missing.
pub fn check(config: &Config) -> Outcome {
    let machine = Machine::look(&config.detect.onnxruntime);
    let wanted = match Wanted::of(config) {
        wanted if wanted.is_any() => wanted,
        // Asked without asking for anything: then for what a GPU server would.
        _ => Wanted { cuda: true, nvdec: true, ..Wanted::default() },
    };
    let problems = problems(&wanted, &machine);
    println!("{machine}");
    for problem in &problems {
        println!("missing: {problem}");
    }
    match (problems.is_empty(), machine.gpus.is_empty()) {
        (true, _) => {
            println!("nothing is missing");
            Outcome::Met
        }
        (false, true) => Outcome::NoGpu,
        (false, false) => Outcome::Missed,
    }
}

/// What a failed start should say besides its own error; empty when nothing is missing.
pub fn explain(config: &Config) -> String {
    let wanted = Wanted::of(config);
    if !wanted.is_any() {
        return String::new();
    }
    let problems = problems(&wanted, &Machine::look(&config.detect.onnxruntime));
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Machine {
        let libraries = LIBRARIES.iter().map(|need| need.0.to_owned());
        Machine {
            gpus: vec!["H100".into()],
            driver: Some("580.65.06".into()),
            cuda: Some("13.0".into()),
            no_driver: None,
            built_with_cuda: true,
            beside_runtime: ["cuda", "tensorrt"]
                .map(|name| format!("libonnxruntime_providers_{name}.so"))
                .into(),
            libraries: libraries.collect(),
        }
    }

    const ALL: Wanted = Wanted { cuda: true, tensorrt: true, nvdec: true, nvenc: true };

    fn text(wanted: &Wanted, machine: &Machine) -> Vec<String> {
        problems(wanted, machine).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_machine_lacks_nothing_and_who_wants_nothing_lacks_nothing() {
        assert_eq!(problems(&ALL, &whole()), []);
        assert_eq!(problems(&Wanted::default(), &Machine::default()), []);
    }

    #[test]
    fn each_missing_library_is_named_with_its_key() {
        for (library, needs, _) in &LIBRARIES {
            let mut machine = whole();
            machine.libraries.remove(*library);
            let said = text(&ALL, &machine);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains(library) && said[0].starts_with(needs(&ALL).unwrap()));
        }
        let mut machine = whole();
        machine.libraries.remove("libcudart.so.13");
        machine.libraries.insert("libcudart.so.12".into());
        let said = text(&ALL, &machine);
        assert!(
            said[0].contains("libcudart.so.13 is not found, but libcudart.so.12 is"),
            "{said:?}"
        );
    }

    #[test]
    fn only_what_is_wanted_is_missed() {
        let mut machine = whole();
        machine.libraries.remove("libnvinfer.so.10");
        machine.libraries.remove("libnvcuvid.so.1");
        let cuda = Wanted { cuda: true, ..Wanted::default() };
        assert_eq!(text(&cuda, &machine), [""; 0]);
        let nvdec = Wanted { nvdec: true, ..Wanted::default() };
        machine.built_with_cuda = false;
        let said = text(&nvdec, &machine);
        assert!(said.len() == 1 && said[0].starts_with("media.decoder: libnvcuvid"), "{said:?}");
    }

    #[test]
    fn a_driver_is_missing_or_too_old() {
        let old = Machine { driver: Some("570.1".into()), ..whole() };
        assert!(text(&ALL, &old)[0].contains("the driver is 570.1, and CUDA 13 needs 580"));
        let old = Machine { driver: None, cuda: Some("12.8".into()), ..whole() };
        assert!(text(&ALL, &old)[0].contains("the driver runs CUDA 12.8, and 13 is needed"));
        let none = Machine { no_driver: Some("no driver answers".into()), ..whole() };
        assert_eq!(text(&ALL, &none).len(), 1);
        let empty = Machine { gpus: Vec::new(), ..whole() };
        assert!(text(&ALL, &empty)[0].contains("has no GPU"));
    }

    #[test]
    fn a_binary_without_cuda_is_told_so() {
        let machine = Machine { built_with_cuda: false, beside_runtime: [].into(), ..whole() };
        let said = text(&ALL, &machine).join("\n");
        for part in ["built without CUDA", "providers_cuda.so is not", "providers_tensorrt.so is"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
