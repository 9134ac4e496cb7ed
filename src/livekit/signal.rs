//! The signalling connection: requests out in order, messages in, resumed when it breaks.
//!
//! Nothing here waits while a send or a resume is under way: both are futures that
//! [`Signal::next`] drives, so that media flows on while the signalling connection is being
//! remade. Requests wait in an outbox meanwhile; one that is full means that the server has
//! stopped reading.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long leaving may hold up the end.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// Requests that may wait for the connection.
const OUTBOX: usize = 256;

/// The newest protocol that livekit-server 1.9 and later speak and whose rules we follow; the
/// signalling crate would announce a newer one.
const PROTOCOL: u32 = 16;

/// What happened on the signalling connection.
#[derive(Debug)]
pub(super) enum Notice {
    /// The server says something.
    Message(Box<Response>),
    /// The connection broke.
    Closed(String),
    /// A resume came to its end.
    Resumed(Result<(), SignalError>),
}

enum Task {
    Send(Box<Request>),
    Reconnected,
}

enum Done {
    Sent,
    Restarted(Result<(), SignalError>),
}

/// One signalling session.
pub(super) struct Signal {
    client: Arc<SignalClient>,
    events: SignalEvents,
    outbox: VecDeque<Task>,
    restart: Option<proto::ReconnectReason>,
    work: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
    restarting: bool,
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signal").field("outbox", &self.outbox.len()).finish_non_exhaustive()
    }
}

impl Signal {
    /// Joins the room that `token` is for. Subscribing is left to the caller.
    pub(super) async fn join(
        url: &str,
        token: &str,
    ) -> Result<(Self, proto::JoinResponse), SignalError> {
        let mut options = SignalOptions::default();
        options.auto_subscribe = false;
        options.adaptive_stream = false;
        options.connect_timeout = CONNECT_TIMEOUT;
        options.protocol_version = PROTOCOL;
        // The default asks for packet trailers, which would end up inside the frames.
        options.client_capabilities = Vec::new();
        let (client, join, events) = SignalClient::connect(url, token, options, None).await?;
        let signal = Self {
            client: Arc::new(client),
            events,
            outbox: VecDeque::new(),
            restart: None,
            work: None,
            restarting: false,
        };
        Ok((signal, join))
    }

    /// Queues a request; false when the outbox is full and the connection had better be remade.
    #[must_use]
    pub(super) fn send(&mut self, request: Request) -> bool {
        self.enqueue(Task::Send(Box::new(request)))
    }

    /// Starts to resume the session; [`Notice::Resumed`] tells how it went.
    pub(super) fn resume(&mut self, reason: proto::ReconnectReason) {
        if self.resuming() {
            return;
        }
        // A send that is stuck in a dead socket would hold the resume up. Descriptions belong to
        // the connection that breaks; the owner makes new ones.
        self.work = None;
        self.outbox.retain(|task| {
            let Task::Send(request) = task else { return false };
            !matches!(**request, Request::Answer(_) | Request::Offer(_) | Request::SyncState(_))
        });
        self.restart = Some(reason);
    }

    /// Whether a resume is under way.
    pub(super) fn resuming(&self) -> bool {
        self.restarting || self.restart.is_some()
    }

    /// Declares a resume complete: requests that waited for it go out.
    #[must_use]
    pub(super) fn reconnected(&mut self) -> bool {
        self.enqueue(Task::Reconnected)
    }

    /// The next thing that happens. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Notice {
        loop {
            self.start_work();
            let done = tokio::select! {
                biased;
                done = drive(&mut self.work) => done,
                event = self.events.recv() => match event {
                    Some(SignalEvent::Message(message)) => return Notice::Message(message),
                    Some(SignalEvent::Close(reason)) => {
                        // Restarting makes the old socket report its own end: not news.
                        if self.resuming() || self.client.is_connected().await {
                            continue;
                        }
                        return Notice::Closed(reason.into_owned());
                    }
                    None => return Notice::Closed("signalling ended".into()),
                },
            };
            self.work = None;
            if let Done::Restarted(result) = done {
                self.restarting = false;
                return Notice::Resumed(result);
            }
        }
    }

    /// Tells the server that we leave, and closes the connection.
    pub(super) async fn leave(mut self) {
        self.work = None;
        let client = self.client;
        let goodbye = async {
            let leave = proto::LeaveRequest {
                reason: proto::DisconnectReason::ClientInitiated.into(),
                ..Default::default()
            };
            client.send(Request::Leave(leave)).await;
            client.close().await;
        };
        if tokio::time::timeout(LEAVE_TIMEOUT, goodbye).await.is_err() {
            tracing::debug!("leaving the room took too long, the server will notice by itself");
        }
    }

    fn enqueue(&mut self, task: Task) -> bool {
        let fits = self.outbox.len() < OUTBOX;
        if fits {
            self.outbox.push_back(task);
        }
        fits
    }

    fn start_work(&mut self) {
        if self.work.is_some() {
            return;
        }
        let client = Arc::clone(&self.client);
        if let Some(reason) = self.restart.take() {
            self.restarting = true;
            self.work =
                Some(Box::pin(
                    async move { Done::Restarted(client.restart(reason).await.map(|_| ())) },
                ));
            return;
        }
        self.work =
            self.outbox.pop_front().map(|task| -> Pin<Box<dyn Future<Output = _> + Send>> {
                Box::pin(async move {
                    match task {
                        Task::Send(request) => client.send(*request).await,
                        Task::Reconnected => client.set_reconnected().await,
                    }
                    Done::Sent
                })
            });
    }
}

/// Drives the work under way; never returns when there is none.
async fn drive(work: &mut Option<Pin<Box<dyn Future<Output = Done> + Send>>>) -> Done {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}
