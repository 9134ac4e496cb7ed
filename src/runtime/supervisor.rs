//! Tasks by name, with typed exits.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Its work was done.
    Finished,
    /// It was asked to stop, and did.
    Cancelled,
    /// It gave up; the reason is for a person.
    Failed(String),
    /// It panicked; the message of the panic. Only the supervisor says this.
    Panicked(String),
}

/// A task that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The name it was spawned under.
    pub name: String,
    /// How it ended.
    pub exit: Exit,
}

/// Owns tasks, each under a name, and one stop token for all.
///
/// Dropping it aborts them.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<Exit>,
    names: HashMap<Id, String>,
    stop: CancellationToken,
}

impl Supervisor {
    /// No tasks yet; `stop` is the token their own tokens descend from.
    pub fn new(stop: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), names: HashMap::new(), stop }
    }

    /// The token that stops everything here.
    pub fn token(&self) -> &CancellationToken {
        &self.stop
    }

    /// How many tasks have not been collected yet.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether all tasks were collected.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Runs a task under a name. It gets a child of the stop token and must end soon after that
    /// is cancelled. Must be called inside a runtime.
    pub fn spawn<F>(&mut self, name: impl Into<String>, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Exit> + Send + 'static,
    {
        let handle = self.tasks.spawn(task(self.stop.child_token()));
        self.names.insert(handle.id(), name.into());
    }

    /// The next task that ends; `None` when there are none. Cancel safe.
    pub async fn next(&mut self) -> Option<Ended> {
        let joined = self.tasks.join_next_with_id().await?;
        Some(self.collect(joined))
    }

    /// Asks all tasks to stop and waits until `deadline` has passed; what is left then is named in
    /// one log line and aborted. Returns the names of those that had to be aborted.
    pub async fn shut_down(&mut self, deadline: Duration) -> Vec<String> {
        self.stop.cancel();
        let drained = tokio::time::timeout(deadline, async {
            while let Some(ended) = self.next().await {
                report(&ended);
            }
        });
        if drained.await.is_ok() {
            return Vec::new();
        }
        let mut stragglers: Vec<String> = self.names.drain().map(|(_, name)| name).collect();
        stragglers.sort_unstable();
        tracing::error!(?stragglers, ?deadline, "not stopped in time, aborting");
        self.tasks.shutdown().await;
        stragglers
    }

    fn collect(&mut self, joined: Result<(Id, Exit), JoinError>) -> Ended {
        let (id, exit) = match joined {
            Ok((id, exit)) => (id, exit),
            Err(error) => (error.id(), exit_of(error)),
        };
        Ended { name: self.names.remove(&id).unwrap_or_default(), exit }
    }
}

fn exit_of(error: JoinError) -> Exit {
    match error.try_into_panic() {
        Ok(panic) => Exit::Panicked(super::thread::panic_text(panic.as_ref())),
        Err(_) => Exit::Cancelled,
    }
}

fn report(Ended { name, exit }: &Ended) {
    match exit {
        Exit::Finished | Exit::Cancelled => tracing::debug!(name, "stopped"),
        Exit::Failed(reason) => tracing::warn!(name, reason, "failed while stopping"),
        Exit::Panicked(reason) => tracing::error!(name, reason, "panicked while stopping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervisor() -> Supervisor {
        Supervisor::new(CancellationToken::new())
    }

    #[tokio::test]
    async fn every_exit_has_its_name_and_kind() {
        let mut tasks = supervisor();
        tasks.spawn("done", |_| async { Exit::Finished });
        tasks.spawn("broken", |_| async { Exit::Failed("no disk".into()) });
        tasks.spawn("buggy", |_| async { panic!("at the disco") });
        let mut ended = Vec::new();
        while let Some(one) = tasks.next().await {
            ended.push(one);
        }
        ended.sort_by(|a, b| a.name.cmp(&b.name));
        let expected = [
            ("broken", Exit::Failed("no disk".into())),
            ("buggy", Exit::Panicked("at the disco".into())),
            ("done", Exit::Finished),
        ];
        let expected = expected.map(|(name, exit)| Ended { name: name.into(), exit });
        assert_eq!(ended, expected);
        assert!(tasks.is_empty());
    }

    #[tokio::test]
    async fn stragglers_are_named_and_aborted() {
        let mut tasks = supervisor();
        tasks.spawn("polite", |stop| async move {
            stop.cancelled().await;
            Exit::Cancelled
        });
        tasks.spawn("deaf", |_| std::future::pending());
        assert_eq!(tasks.shut_down(Duration::from_millis(50)).await, ["deaf"]);
        assert!(tasks.is_empty());
    }

    #[tokio::test]
    async fn a_clean_stop_does_not_wait_for_the_deadline() {
        let mut tasks = supervisor();
        tasks.spawn("polite", |stop| async move {
            stop.cancelled().await;
            Exit::Cancelled
        });
        // An hour: the test would hang if the deadline were waited for.
        assert!(tasks.shut_down(Duration::from_secs(3_600)).await.is_empty());
    }
}
