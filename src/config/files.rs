//! Secrets from files: `NAME_FILE` in the environment names a file that holds what `NAME` would.
//!
//! For orchestrators that mount secrets as files: what stands in the environment is seen by every
//! child process and by whoever lists processes.

use std::path::Path;

use super::load::{Environment, Error, NAMED, PREFIX, Problem, SECRETS};

/// Largest file that is taken for a secret, in bytes.
const BYTES_MAX: usize = 4_096;

/// Puts the contents of the files that `environment` names in place of their names; `read` reads
/// one. A line end at the end of a file is not part of the secret.
///
/// # Errors
///
/// [`Error::Invalid`] with every file that cannot be used; no message holds what a file says.
pub fn read(
    mut environment: Environment,
    read: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<Environment, Error> {
    let mut problems = Vec::new();
    for name in names() {
        let variable = format!("{name}_FILE");
        let Some(path) = environment.remove(&variable) else { continue };
        if environment.contains_key(&name) {
            let detail = format!("{name} is set too; set one of the two");
            problems.push(Problem { key: variable, value: None, detail });
            continue;
        }
        match contents(Path::new(&path), &read) {
            Ok(text) => drop(environment.insert(name, text)),
            Err(detail) => problems.push(Problem { key: variable, value: Some(path), detail }),
        }
    }
    if problems.is_empty() { Ok(environment) } else { Err(Error::Invalid(problems)) }
}

/// Every variable that sets a secret.
fn names() -> Vec<String> {
    let own = NAMED.iter().filter(|(_, key)| SECRETS.contains(key)).map(|(name, _)| *name);
    let general = SECRETS
        .iter()
        .map(|key| format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__")));
    own.map(str::to_owned).chain(general).chain(["LIVEKIT_API_KEY".to_owned()]).collect()
}

fn contents(
    path: &Path,
    read: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<String, String> {
    let text = read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    match text.len() {
        0 => Err("the file is empty".into()),
        length if length > BYTES_MAX => Err(format!("the file has more than {BYTES_MAX} bytes")),
        _ if text.contains('\n') => Err("the file must hold one line".into()),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};

    use super::*;
    use crate::config::Config;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn load(pairs: &[(&str, &str)]) -> Result<Environment, Error> {
        let environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        read(environment, |path| match path.to_str() {
            Some("/good") => Ok(format!("{SECRET}\n")),
            Some("/empty") => Ok("\n".into()),
            Some("/lines") => Ok(format!("{SECRET}\nmore")),
            Some("/long") => Ok("x".repeat(BYTES_MAX + 1)),
            _ => Err(IoError::from(ErrorKind::NotFound)),
        })
    }

    #[test]
    fn a_file_stands_for_its_variable() {
        let environment = load(&[
            ("JWT_SECRET_FILE", "/good"),
            ("SCRIM__LIVEKIT__API_SECRET_FILE", "/good"),
            ("LIVEKIT_API_KEY", "key"),
        ]);
        let config = Config::load(None, &environment.unwrap(), false).unwrap();
        assert_eq!(config.access.jwt_secret.expose(), SECRET);
        assert_eq!(config.livekit.api_secret.expose(), SECRET);
    }

    #[test]
    fn what_cannot_be_used_is_named_and_never_shown() {
        for (path, word) in
            [("/none", "read"), ("/empty", "empty"), ("/lines", "one line"), ("/long", "more than")]
        {
            let error = load(&[("JWT_SECRET_FILE", path)]).unwrap_err().to_string();
            assert!(error.contains("JWT_SECRET_FILE") && error.contains(path), "{error}");
            assert!(error.contains(word) && !error.contains(SECRET), "{error}");
        }
        let both = load(&[("JWT_SECRET", SECRET), ("JWT_SECRET_FILE", "/good")]);
        assert!(both.unwrap_err().to_string().contains("set one of the two"));
    }
}
