//! What can go wrong with a database, by what can be done about it.

use std::time::Duration;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address in the configuration makes no sense.
    #[error("{0}")]
    Address(String),
    /// The tables cannot be made or updated.
    #[error("the database's tables cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// It cannot be reached, is full, or is being restarted: the same may work later.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// It did not answer in time: the same may work later.
    #[error("the database took longer than {} s", .0.as_secs())]
    Slow(Duration),
    /// It answers, and will never take this.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
    /// It holds what this version cannot read.
    #[error("the database holds what cannot be read: {0}")]
    Unreadable(String),
}

impl Error {
    /// Whether the same may work later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Slow(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refused) if is_final(refused.as_ref()) => Self::Refused(error),
            sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::RowNotFound => Self::Unreadable(error.to_string()),
            sqlx::Error::Encode(_) => Self::Refused(error),
            _ => Self::Unavailable(error),
        }
    }
}

/// Whether a statement is wrong in itself: it breaks a constraint, holds a value that does not fit,
/// or does not parse. A full disk, a lock or a restart is none of these.
fn is_final(error: &dyn sqlx::error::DatabaseError) -> bool {
    if !matches!(error.kind(), sqlx::error::ErrorKind::Other) {
        return true;
    }
    // PostgreSQL's classes: data exception, constraint, syntax or name. SQLite's codes are numbers.
    let code = error.code().unwrap_or_default();
    code.len() == 5 && ["22", "23", "42"].iter().any(|class| code.starts_with(class))
}
