//! Who may do what in which room. Every token that lets anyone near LiveKit is made here.

use std::time::Duration;

use livekit_api::access_token::{AccessToken, AccessTokenError, VideoGrants};

use super::Credentials;

/// The attribute that marks a broadcaster, and its value.
pub(super) const ROLE: (&str, &str) = ("role", "broadcaster");

/// The identity under which this server joins its rooms: joining again replaces a stale
/// connection, and a second server that takes the room over ends the first.
pub(super) const IDENTITY: &str = "scrim";

/// How long a token lets its holder join, unless said otherwise.
pub const TTL: Duration = Duration::from_secs(6 * 3_600);

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign a LiveKit token")]
pub struct TokenError(#[from] AccessTokenError);

/// What a participant may do in a room. Nobody may send data or change its own attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Publishes into a raw room, is marked as its broadcaster, and sees nobody.
    Broadcaster,
    /// Watches and publishes nothing.
    Viewer,
    /// Watches a processed room for whoever looks after it: like a viewer, but unseen, so that it
    /// is no audience.
    Monitor,
    /// This server in a raw room: sees everything, unseen, publishes nothing.
    Agent,
    /// This server in a processed room: publishes, and sees nobody. Not an agent: LiveKit closes
    /// a room in which only agents are left, and this one stays open while nobody watches.
    Server,
    /// Not even let in: to see whether the server knows the key.
    Nobody,
}

/// Who is let in where, to do what, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The room by its own name: that of the processed room for a viewer of a stream.
    pub room: String,
    /// Who is let in; a second one with the same identity takes the first one's place.
    pub identity: String,
    /// The name that others see.
    pub name: String,
    /// What is allowed there.
    pub role: Role,
    /// Passed on to the other participants as it is.
    pub metadata: Option<String>,
    /// For how long the token lets its holder join.
    pub ttl: Duration,
}

impl Grant {
    /// Lets `identity` into `room` for [`TTL`], under its identity as name.
    pub fn new(role: Role, room: impl Into<String>, identity: impl Into<String>) -> Self {
        let identity = identity.into();
        let name = identity.clone();
        Self { room: room.into(), identity, name, role, metadata: None, ttl: TTL }
    }

    /// The token.
    ///
    /// # Errors
    ///
    /// When the key cannot sign.
    pub fn sign(&self, credentials: &Credentials) -> Result<String, TokenError> {
        let mut token = AccessToken::with_api_key(&credentials.api_key, &credentials.api_secret)
            .with_ttl(self.ttl)
            .with_identity(&self.identity)
            .with_name(&self.name)
            .with_grants(self.video());
        match self.role {
            Role::Broadcaster => token = token.with_attributes([ROLE]),
            Role::Agent => token = token.with_kind("agent"),
            Role::Viewer | Role::Monitor | Role::Server | Role::Nobody => {}
        }
        if let Some(metadata) = &self.metadata {
            token = token.with_metadata(metadata);
        }
        Ok(token.to_jwt()?)
    }

    fn video(&self) -> VideoGrants {
        if self.role == Role::Nobody {
            return VideoGrants::default();
        }
        VideoGrants {
            room_join: true,
            room: self.room.clone(),
            can_publish: Some(matches!(self.role, Role::Broadcaster | Role::Server)),
            can_subscribe: Some(matches!(self.role, Role::Viewer | Role::Monitor | Role::Agent)),
            can_publish_data: Some(false),
            can_update_own_metadata: Some(false),
            hidden: matches!(self.role, Role::Monitor | Role::Agent),
            agent: self.role == Role::Agent,
            ..VideoGrants::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use livekit_api::access_token::{Claims, TokenVerifier};

    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            url: "ws://127.0.0.1:7880".into(),
            api_key: "devkey".into(),
            api_secret: "devsecret-devsecret-devsecret-32ch".into(),
        }
    }

    fn claims(grant: &Grant) -> Claims {
        let keys = credentials();
        let token = grant.sign(&keys).unwrap();
        TokenVerifier::with_api_key(&keys.api_key, &keys.api_secret).verify(&token).unwrap()
    }

    #[test]
    fn a_viewer_gets_into_its_room_only_and_cannot_publish() {
        let claims = claims(&Grant::new(Role::Viewer, "show-processed", "ann"));
        assert_eq!((claims.sub.as_str(), claims.name.as_str()), ("ann", "ann"));
        assert_eq!(claims.video.room, "show-processed");
        assert_eq!(claims.video.can_publish, Some(false));
        assert_eq!(claims.video.can_subscribe, Some(true));
        assert_eq!(claims.video.can_publish_data, Some(false));
        assert_eq!(claims.video.can_update_own_metadata, Some(false));
        assert!(!claims.video.room_admin && !claims.video.room_create && !claims.video.hidden);
        assert!(claims.attributes.is_empty());
    }

    #[test]
    fn a_monitor_is_a_viewer_that_nobody_sees() {
        let claims = claims(&Grant::new(Role::Monitor, "show-processed", "monitor-1"));
        assert_eq!(claims.video.room, "show-processed");
        assert!(claims.video.hidden && !claims.video.agent && claims.kind.is_empty());
        assert_eq!(claims.video.can_subscribe, Some(true));
        assert_eq!(claims.video.can_publish, Some(false));
        assert_eq!(claims.video.can_publish_data, Some(false));
        assert!(!claims.video.room_admin && !claims.video.room_create);
    }

    #[test]
    fn a_broadcaster_is_marked_and_cannot_watch() {
        let claims = claims(&Grant::new(Role::Broadcaster, "show", "bob"));
        assert_eq!(claims.video.room, "show");
        assert_eq!(claims.video.can_publish, Some(true));
        assert_eq!(claims.video.can_subscribe, Some(false));
        assert_eq!(claims.attributes.get("role").map(String::as_str), Some("broadcaster"));
    }

    #[test]
    fn the_server_is_hidden_in_the_raw_room_and_only_publishes_in_the_other() {
        let raw = claims(&Grant::new(Role::Agent, "show", IDENTITY));
        assert!(raw.video.hidden);
        assert_eq!((raw.kind.as_str(), raw.video.can_publish), ("agent", Some(false)));
        let processed = claims(&Grant::new(Role::Server, "show-processed", IDENTITY));
        assert_eq!(processed.video.room, "show-processed");
        assert_eq!(processed.video.can_subscribe, Some(false));
        assert_eq!(processed.video.can_publish, Some(true));
        assert!(!processed.video.hidden && processed.attributes.is_empty());
    }

    #[test]
    fn name_metadata_and_time_are_the_callers() {
        let mut grant = Grant::new(Role::Viewer, "show-processed", "ann-1");
        (grant.name, grant.metadata) = ("Ann".into(), Some("{}".into()));
        grant.ttl = Duration::from_secs(60);
        let claims = claims(&grant);
        assert_eq!((claims.sub.as_str(), claims.name.as_str()), ("ann-1", "Ann"));
        assert_eq!(claims.metadata, "{}");
        assert!(claims.exp - claims.nbf <= 61);
    }

    #[test]
    fn nobody_is_let_in_nowhere() {
        let claims = claims(&Grant::new(Role::Nobody, "show", "x"));
        assert!(!claims.video.room_join && claims.video.room.is_empty());
    }
}
