//! What is found on this machine: by NVIDIA's driver, and where the loader looks for libraries.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::telemetry::Gpus;

/// Where loaders look besides their cache.
const DIRECTORIES: [&str; 4] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"];

/// What a machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The names of its GPUs.
    pub gpus: Vec<String>,
    /// The driver's version.
    pub driver: Option<String>,
    /// The newest CUDA that the driver runs.
    pub cuda: Option<String>,
    /// Why no driver answers.
    pub no_driver: Option<String>,
    /// Whether this binary can use CUDA at all.
    pub built_with_cuda: bool,
    /// Files in the directory of ONNX Runtime's library.
    pub beside_runtime: BTreeSet<String>,
    /// Libraries that the loader finds, by file name.
    pub libraries: BTreeSet<String>,
}

impl Machine {
    /// Looks at this machine; `onnxruntime` is the library's path. Loads the driver's own library for
    /// figures, and no other.
    pub fn look(onnxruntime: &Path) -> Self {
        let gpus = Gpus::open();
        let (driver, cuda) = gpus.as_ref().map_or((None, None), Gpus::versions);
        let runtime = std::fs::canonicalize(onnxruntime).unwrap_or_else(|_| onnxruntime.to_owned());
        let path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let directories = std::env::split_paths(&path).filter(|one| !one.as_os_str().is_empty());
        let directories = directories.chain(DIRECTORIES.map(PathBuf::from));
        let mut libraries: BTreeSet<String> = directories.flat_map(|one| files(&one)).collect();
        libraries.extend(cached(&loader_cache()));
        Self {
            gpus: gpus.as_ref().map(names).unwrap_or_default(),
            driver,
            cuda,
            no_driver: gpus.err().map(|error| error.to_string()),
            built_with_cuda: cfg!(feature = "cuda"),
            beside_runtime: runtime.parent().map(files).unwrap_or_default(),
            libraries,
        }
    }

    /// Another version of a library than the one with this name, when there is one.
    pub fn other_version(&self, library: &str) -> Option<&str> {
        let (stem, _) = library.split_once(".so.")?;
        let begins = format!("{stem}.so.");
        self.libraries.iter().find(|one| one.starts_with(&begins)).map(String::as_str)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.no_driver {
            return f.write_str(error);
        }
        let (driver, cuda) = (self.driver.as_deref(), self.cuda.as_deref());
        let (driver, cuda) = (driver.unwrap_or("unknown"), cuda.unwrap_or("unknown"));
        write!(f, "driver {driver}, which runs CUDA {cuda}; ")?;
        write!(f, "{} GPU(s): {}", self.gpus.len(), self.gpus.join(", "))
    }
}

fn names(gpus: &Gpus) -> Vec<String> {
    gpus.read().into_iter().map(|gpu| gpu.name).collect()
}

/// The names of a directory's files, links included; none when it cannot be read.
fn files(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// What `ldconfig -p` prints; nothing where there is none.
fn loader_cache() -> String {
    let asked = ["ldconfig", "/sbin/ldconfig"]
        .iter()
        .find_map(|name| Command::new(name).arg("-p").output().ok());
    asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// The libraries of this machine's kind in the loader's cache: `NAME (libc6,x86-64) => PATH`.
fn cached(text: &str) -> impl Iterator<Item = String> + '_ {
    let ours = text.lines().filter(|line| line.contains("x86-64") || line.contains("AArch64"));
    ours.filter_map(|line| line.split_whitespace().next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_cache_is_read() {
        let text = "3 libs found in cache `/etc/ld.so.cache'\n\
                    \tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1\n\
                    \tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1\n\
                    \tlibold.so.1 (libc6) => /usr/lib/i386-linux-gnu/libold.so.1\n";
        assert_eq!(cached(text).collect::<Vec<_>>(), ["libcuda.so.1"]);
    }

    #[test]
    fn this_machine_has_a_loader() {
        let machine = Machine::look(Path::new("/nonexistent/libonnxruntime.so"));
        assert!(machine.libraries.iter().any(|one| one.starts_with("libc.so.")));
        assert!(machine.beside_runtime.is_empty());
        assert_eq!(
            machine.no_driver.is_some(),
            machine.gpus.is_empty() && machine.driver.is_none()
        );
        assert!(!machine.to_string().is_empty());
    }
}
