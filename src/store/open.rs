//! From an address to open connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _};

use super::{Error, migrations};

/// How long a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(3);
/// How long a database may take to answer when the process starts.
const START: Duration = Duration::from_secs(10);
/// Readers of SQLite at once; they do not wait for the writer.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL that only writers use, so that readers cannot take them all.
const POSTGRES_WRITERS: u32 = 2;
/// Idle connections are closed after this: a server that was moved is found again.
const IDLE: Duration = Duration::from_secs(300);

/// What each connection to SQLite is told: readers go on while one writes; a commit is on the disk
/// when it is done; the log does not stay large after a burst.
const SQLITE: &str = "pragma journal_mode = wal; pragma synchronous = full; \
     pragma busy_timeout = 5000; pragma foreign_keys = on; pragma journal_size_limit = 67108864";
/// What each connection to PostgreSQL is told: no statement of ours takes longer.
const POSTGRES: &str = "set statement_timeout = '8s'";

/// Which database it is.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A file beside the process.
    Sqlite,
    /// A server.
    Postgres,
}

impl Backend {
    /// What an address names.
    ///
    /// # Errors
    ///
    /// What is allowed instead, without the address: it may hold a password.
    pub fn of(url: &str) -> Result<Self, Error> {
        match url.split_once(':').map(|(scheme, rest)| (scheme, rest.trim_start_matches('/'))) {
            Some(("sqlite", rest)) if !rest.is_empty() && !rest.starts_with([':', '?']) => {
                Ok(Self::Sqlite)
            }
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => Ok(Self::Postgres),
            _ => Err(Error::Address(
                "must be sqlite:PATH (a file) or postgres://USER:PASSWORD@HOST/NAME".into(),
            )),
        }
    }
}

/// An open database.
pub(super) struct Opened {
    pub backend: Backend,
    pub reader: AnyPool,
    pub writer: AnyPool,
}

/// Opens the database, brings its tables up to date, and holds its connections.
pub(super) async fn open(url: &str, connections: u32) -> Result<Opened, Error> {
    migrate(url).await?;
    pools(url, connections)
}

/// Brings the tables up to date.
pub(super) async fn migrate(url: &str) -> Result<(), Error> {
    sqlx::any::install_default_drivers();
    let backend = Backend::of(url)?;
    let url = address(backend, url)?;
    let connected = tokio::time::timeout(START, AnyConnection::connect(&url)).await;
    let mut connection = connected.map_err(|_| Error::Slow(START))??;
    if backend == Backend::Sqlite {
        connection.execute(SQLITE).await?;
    }
    // Without a limit of time: an index over a million rows takes its own.
    migrations::run(&mut connection).await.map_err(Error::Migrate)?;
    connection.close().await?;
    Ok(())
}

/// Connections that are made when they are needed first.
pub(super) fn pools(url: &str, connections: u32) -> Result<Opened, Error> {
    let backend = Backend::of(url)?;
    let url = address(backend, url)?;
    let (readers, writers) = match backend {
        Backend::Sqlite => (SQLITE_READERS, 1),
        Backend::Postgres => {
            (connections.saturating_sub(POSTGRES_WRITERS).max(1), POSTGRES_WRITERS)
        }
    };
    let reader = pool(backend, &url, readers)?;
    let writer = pool(backend, &url, writers)?;
    Ok(Opened { backend, reader, writer })
}

/// The address in the form that the driver wants; a file's folder is made.
fn address(backend: Backend, url: &str) -> Result<String, Error> {
    if backend == Backend::Postgres {
        return Ok(url.to_owned());
    }
    let path = file(url);
    if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::Address(format!("{} cannot be made: {error}", folder.display()))
        })?;
    }
    Ok(format!("sqlite:{}?mode=rwc", path.display()))
}

/// The file that an address of SQLite names.
pub(super) fn file(url: &str) -> PathBuf {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    path.split('?').next().unwrap_or(path).into()
}

fn pool(backend: Backend, url: &str, size: u32) -> Result<AnyPool, Error> {
    let options = AnyPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let told = match backend {
                    Backend::Sqlite => SQLITE,
                    Backend::Postgres => POSTGRES,
                };
                connection.execute(told).await?;
                Ok(())
            })
        });
    Ok(options.connect_lazy(url)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_or_a_server() {
        for (url, backend) in [
            ("sqlite:data/scrim.db", Backend::Sqlite),
            ("sqlite:///var/lib/scrim/scrim.db", Backend::Sqlite),
            ("postgres://scrim:pw@db/scrim", Backend::Postgres),
            ("postgresql://db/scrim", Backend::Postgres),
        ] {
            assert_eq!(Backend::of(url).unwrap(), backend, "{url}");
        }
        for url in ["", "sqlite:", "sqlite::memory:", "mysql://db/scrim", "scrim.db", "postgres:"] {
            let told = Backend::of(url).unwrap_err().to_string();
            assert!(told.contains("sqlite:PATH"), "{url}: {told}");
        }
        let path = |url| file(url).display().to_string();
        assert_eq!(path("sqlite:///var/a.db?mode=ro"), "/var/a.db");
        assert_eq!(path("sqlite:a/b.db"), "a/b.db");
    }
}
