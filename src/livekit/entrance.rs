//! A room, and what lets us in.

use livekit_protocol as proto;

use super::room::{Invitation, JoinError, Room};
use super::rtc;
use super::token::{Grant, IDENTITY, Role};
use super::verdict::{self, Verdict};
use super::{Credentials, Faults, processed_room};

/// What is shown at the door.
#[derive(Clone, Debug)]
pub enum Pass {
    /// A token that is signed anew at each attempt, so that it never runs out.
    Signed {
        /// The key to sign with; its address is not used.
        credentials: Credentials,
        /// What the token says.
        grant: Grant,
    },
    /// A token that somebody else made.
    Token(String),
}

/// A room, and what lets us in.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Address of the server: `ws`, `wss`, `http` or `https`.
    pub url: String,
    /// The room by its own name, for the log: the token decides.
    pub room: String,
    /// What lets us in.
    pub pass: Pass,
    /// Faults of the network, in tests.
    pub faults: Faults,
}

impl Entrance {
    /// Into the room of `grant`, with tokens signed here.
    pub fn signed(credentials: Credentials, grant: Grant) -> Self {
        let (url, room) = (credentials.url.clone(), grant.room.clone());
        let pass = Pass::Signed { credentials, grant };
        Self { url, room, pass, faults: Faults::default() }
    }

    /// Into `room` of the server at `url`, with a token that somebody else made.
    pub fn with_token(
        url: impl Into<String>,
        room: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        let (url, room, pass) = (url.into(), room.into(), Pass::Token(token.into()));
        Self { url, room, pass, faults: Faults::default() }
    }

    /// This server's own way into the raw room `room`: hidden, and unable to publish.
    pub fn raw(credentials: Credentials, room: &str) -> Self {
        Self::signed(credentials, Grant::new(Role::Agent, room, IDENTITY))
    }

    /// This server's own way into the processed room of the raw room `room`.
    pub fn processed(credentials: Credentials, room: &str) -> Self {
        Self::signed(credentials, Grant::new(Role::Server, processed_room(room), IDENTITY))
    }

    /// Joins, or says what the failure calls for.
    pub(super) async fn join(
        &self,
        role: rtc::Role,
    ) -> Result<(Room, proto::JoinResponse), Verdict> {
        let token = match &self.pass {
            Pass::Token(token) => token.clone(),
            Pass::Signed { credentials, grant } => {
                grant.sign(credentials).map_err(|error| Verdict::GiveUp(error.to_string()))?
            }
        };
        let (url, faults) = (self.url.clone(), self.faults.clone());
        Room::join(Invitation { url, token, role, faults }).await.map_err(|error| match error {
            JoinError::Signal(error) => verdict::join_failed(&error),
            JoinError::Peer(error) => Verdict::Rejoin(error.to_string()),
        })
    }
}
