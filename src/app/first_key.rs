//! The first API key of a server that has none, in a file for its owner alone.
//!
//! Not on standard output: under systemd and in containers that is a log, which many may read and
//! nobody cleans.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use jiff::Timestamp;

use crate::api::Keys;
use crate::config::Config;

/// Makes the key where one is missing and wanted. A server without one still starts: `scrim key
/// create` and `scrim token` make others.
pub(super) async fn make(config: &Config, keys: &Keys) {
    let path = &config.access.first_key_file;
    if config.dev || path.as_os_str().is_empty() {
        return;
    }
    // The file first: a key that nobody can read must not be the one that keeps others away.
    let file = match create(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return,
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "no first API key; `scrim key create` makes one");
            return;
        }
    };
    let made = match keys.bootstrap(Timestamp::now()).await {
        Ok(Some(key)) => write(file, &key.expose()),
        Ok(None) => return remove(path),
        Err(error) => {
            tracing::warn!(%error, "no first API key; `scrim key create` makes one");
            return remove(path);
        }
    };
    match made {
        Ok(()) => tracing::warn!(
            path = %path.display(),
            "the first API key, an operator's, is in this file: keep it elsewhere and remove it"
        ),
        Err(error) => tracing::error!(%error, "the first API key cannot be written; revoke it"),
    }
}

fn create(path: &Path) -> std::io::Result<std::fs::File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write(mut file: std::fs::File, key: &str) -> std::io::Result<()> {
    writeln!(file, "{key}")?;
    file.sync_all()
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "an empty file is left");
    }
}
