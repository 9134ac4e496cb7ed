//! `scrim key`: API keys by hand, in the configured database, also while a server runs on it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};

use super::KeyCommand;
use crate::api::{KeyRecord, Keys, NewKey};
use crate::config::Config;
use crate::store::Store;

/// Who makes keys on the command line, in the audit log.
const BY: &str = "command line";

/// Connections that a command needs.
const CONNECTIONS: u32 = 3;

/// How long a running server takes to notice, for the one who waits.
const NOTICED: Duration = Duration::from_secs(2);

/// What the command prints.
///
/// # Errors
///
/// When the database cannot be opened or does not answer, or what was asked makes no sense.
pub async fn run(config: &Config, command: &KeyCommand) -> anyhow::Result<String> {
    let store = Store::open(config.database.url.expose(), CONNECTIONS, "scrim-key")
        .await
        .context("cannot open the database (database.url)")?;
    let keys = Keys::new(Arc::new(store.clone()));
    let said = obey(&keys, command, Timestamp::now()).await;
    store.close().await;
    said
}

async fn obey(keys: &Keys, command: &KeyCommand, now: Timestamp) -> anyhow::Result<String> {
    let noticed = NOTICED.as_secs();
    match command {
        KeyCommand::Create { name, role, days } => {
            let life = |days: u32| now + SignedDuration::from_hours(24 * i64::from(days));
            let new = NewKey {
                name: name.clone(),
                role: *role,
                by: BY.to_owned(),
                expires_at: days.map(life),
            };
            new.check(now).map_err(|errors| anyhow::anyhow!(errors.join("; ")))?;
            let (key, _) = keys.create(new, now).await?;
            Ok(format!("{}\n", key.expose()))
        }
        KeyCommand::List => Ok(table(&keys.list().await?)),
        KeyCommand::Revoke { id } => match keys.revoke(id, BY, now).await? {
            Some(key) => {
                Ok(format!("{} ({}) is revoked; servers know within {noticed} s\n", id, key.name))
            }
            None => bail!("there is no key {id}; `scrim key list` names those there are"),
        },
    }
}

fn table(keys: &[KeyRecord]) -> String {
    let mut out =
        format!("{:<18}{:<10}{:<22}{:<22}{}\n", "ID", "ROLE", "LAST USED", "STATE", "NAME");
    let time = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    for key in keys {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), time);
        let state = match (key.revoked_at, key.expires_at) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(at)) => format!("until {}", at.strftime("%Y-%m-%d")),
            (None, None) => "good".to_owned(),
        };
        let role = key.role.as_str();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:<18}{role:<10}{used:<22}{state:<22}{}", key.id, key.name);
    }
    out
}
