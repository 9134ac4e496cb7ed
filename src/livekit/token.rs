//! Who may do what in which room. Every token that lets anyone near LiveKit is made here.

use livekit_api::access_token::{AccessToken, AccessTokenError, VideoGrants};

use super::{Credentials, processed_room};

/// The attribute that marks a broadcaster, and its value.
pub(super) const ROLE: (&str, &str) = ("role", "broadcaster");

/// The identity under which this server joins its rooms: joining again replaces a stale
/// connection, and a second server that takes the room over ends the first.
pub(super) const IDENTITY: &str = "scrim";

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign a LiveKit token")]
pub struct TokenError(#[from] AccessTokenError);

/// Lets a broadcaster publish into the raw room `room`, and see nobody in it.
pub fn broadcaster(
    credentials: &Credentials,
    room: &str,
    identity: &str,
) -> Result<String, TokenError> {
    let grants = VideoGrants {
        can_publish: Some(true),
        can_subscribe: Some(false),
        can_publish_data: Some(false),
        ..join(room.to_owned())
    };
    sign(start(credentials, identity, grants).with_attributes([ROLE]))
}

/// Lets a viewer watch the processed room of `room` and nothing else.
pub fn viewer(credentials: &Credentials, room: &str, identity: &str) -> Result<String, TokenError> {
    let grants = VideoGrants {
        can_publish: Some(false),
        can_subscribe: Some(true),
        can_publish_data: Some(false),
        ..join(processed_room(room))
    };
    sign(start(credentials, identity, grants))
}

/// This server's own token for the raw room: unseen, and unable to publish.
pub(super) fn subscriber(credentials: &Credentials, room: &str) -> Result<String, TokenError> {
    let grants = VideoGrants {
        can_publish: Some(false),
        can_subscribe: Some(true),
        can_publish_data: Some(false),
        hidden: true,
        agent: true,
        ..join(room.to_owned())
    };
    sign(start(credentials, IDENTITY, grants).with_kind("agent"))
}

/// This server's own token for the processed room.
///
/// Not an agent: LiveKit closes a room in which only agents are left, and this one has to stay
/// open while nobody watches.
pub(super) fn publisher(
    credentials: &Credentials,
    room: &str,
    identity: &str,
) -> Result<String, TokenError> {
    let grants = VideoGrants {
        can_publish: Some(true),
        can_subscribe: Some(false),
        can_publish_data: Some(false),
        ..join(processed_room(room))
    };
    sign(start(credentials, identity, grants))
}

/// A token that permits nothing, to see whether the server knows the key.
pub(super) fn powerless(credentials: &Credentials) -> Result<String, TokenError> {
    sign(start(credentials, IDENTITY, VideoGrants::default()))
}

fn join(room: String) -> VideoGrants {
    VideoGrants {
        room_join: true,
        room,
        can_update_own_metadata: Some(false),
        ..VideoGrants::default()
    }
}

fn start(credentials: &Credentials, identity: &str, grants: VideoGrants) -> AccessToken {
    AccessToken::with_api_key(&credentials.api_key, &credentials.api_secret)
        .with_identity(identity)
        .with_name(identity)
        .with_grants(grants)
}

fn sign(token: AccessToken) -> Result<String, TokenError> {
    Ok(token.to_jwt()?)
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

    fn claims(token: &str) -> Claims {
        let keys = credentials();
        TokenVerifier::with_api_key(&keys.api_key, &keys.api_secret).verify(token).unwrap()
    }

    #[test]
    fn a_viewer_gets_into_the_processed_room_only_and_cannot_publish() {
        let claims = claims(&viewer(&credentials(), "show", "ann").unwrap());
        assert_eq!(claims.sub, "ann");
        assert_eq!(claims.video.room, "show-processed");
        assert_eq!(claims.video.can_publish, Some(false));
        assert_eq!(claims.video.can_publish_data, Some(false));
        assert_eq!(claims.video.can_update_own_metadata, Some(false));
        assert!(!claims.video.room_admin && !claims.video.room_create && !claims.video.hidden);
        assert!(claims.attributes.is_empty());
    }

    #[test]
    fn a_broadcaster_is_marked_and_cannot_watch() {
        let claims = claims(&broadcaster(&credentials(), "show", "bob").unwrap());
        assert_eq!(claims.video.room, "show");
        assert_eq!(claims.video.can_publish, Some(true));
        assert_eq!(claims.video.can_subscribe, Some(false));
        assert_eq!(claims.attributes.get("role").map(String::as_str), Some("broadcaster"));
    }

    #[test]
    fn the_server_is_hidden_in_the_raw_room_and_only_publishes_in_the_other() {
        let raw = claims(&subscriber(&credentials(), "show").unwrap());
        assert!(raw.video.hidden);
        assert_eq!((raw.kind.as_str(), raw.video.can_publish), ("agent", Some(false)));
        let processed = claims(&publisher(&credentials(), "show", IDENTITY).unwrap());
        assert_eq!(processed.video.room, "show-processed");
        assert_eq!(processed.video.can_subscribe, Some(false));
        assert_eq!(processed.video.can_publish, Some(true));
        assert!(!processed.video.hidden);
    }
}
