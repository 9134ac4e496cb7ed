//! Who calls: bearer tokens (JWT, HS256), API keys, and what their role allows.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use livekit_api::access_token;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;
use super::error::Problem;
use super::keys;
use crate::config::Audience;

/// Longest `sub` that is taken, in bytes: it stands in every line of the audit log.
const SUB_MAX: usize = 128;

/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 10;

/// What a token or key says about who holds it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A person who runs streams and manages keys.
    Operator,
    /// A person who watches.
    Viewer,
    /// A program that runs streams.
    Service,
}

impl Role {
    /// The role's name in tokens and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Service => "service",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Operator, Self::Viewer, Self::Service].into_iter().find(|role| role.as_str() == name)
    }
}

/// What a token of the API holds.
#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    role: Role,
    iat: i64,
    exp: i64,
}

/// Signs a token of the API for `sub`, good from `now` for `ttl`.
///
/// # Errors
///
/// When the secret cannot sign, with the reason.
pub fn sign(
    secret: &str,
    sub: &str,
    role: Role,
    now: Timestamp,
    ttl: Duration,
) -> Result<String, jsonwebtoken::errors::Error> {
    install_backend();
    let iat = now.as_second();
    let exp = iat.saturating_add_unsigned(ttl.as_secs());
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &Claims { sub, role, iat, exp }, &key)
}

/// Reading any token installs the process's one HMAC backend, which signing and checking find.
fn install_backend() {
    let _ = access_token::Claims::from_unverified("");
}

/// Who calls.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Caller {
    /// For the audit log.
    pub(super) sub: String,
    /// What is allowed.
    pub(super) role: Role,
}

/// Checks tokens.
pub(super) struct Verifier {
    /// `None` in development mode: everyone is an operator.
    key: Option<DecodingKey>,
    validation: Validation,
}

impl Verifier {
    pub(super) fn new(secret: &str, dev: bool) -> Self {
        install_backend();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self { key: (!dev).then(|| DecodingKey::from_secret(secret.as_bytes())), validation }
    }

    /// The holder of a token.
    fn holder(&self, key: &DecodingKey, token: &str) -> Result<Caller, Problem> {
        let caller = match jsonwebtoken::decode::<Caller>(token, key, &self.validation) {
            Ok(data) => data.claims,
            Err(error) => {
                tracing::debug!(%error, "token refused");
                let detail = "the token is not valid: wrong key, expired, or without sub and role";
                return Err(Problem::unauthenticated(detail));
            }
        };
        if !(1..=SUB_MAX).contains(&caller.sub.len()) || caller.sub.chars().any(char::is_control) {
            let detail = format!("the token's sub must be one line of 1 to {SUB_MAX} bytes");
            return Err(Problem::unauthenticated(detail));
        }
        Ok(caller)
    }
}

/// Who calls, by token or key.
pub(super) fn identify(state: &State, headers: &HeaderMap) -> Result<Caller, Problem> {
    let Some(key) = &state.verifier().key else {
        return Ok(Caller { sub: "dev".into(), role: Role::Operator });
    };
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = token else {
        return Err(Problem::unauthenticated("a bearer token or an API key is needed"));
    };
    if !token.starts_with(keys::PREFIX) {
        return state.verifier().holder(key, token);
    }
    state.keys().caller(token, Timestamp::now()).ok_or_else(|| {
        Problem::unauthenticated("the API key is not valid: unknown, expired or revoked")
    })
}

/// A caller who may run streams: 401 without a token, 403 without the role.
pub(super) struct Operator(pub(super) Caller);

impl FromRequestParts<State> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let caller = identify(state, &parts.headers)?;
        match caller.role {
            Role::Operator | Role::Service => Ok(Self(caller)),
            Role::Viewer => Err(Problem::forbidden("this needs the role operator or service")),
        }
    }
}

/// A caller who may manage keys. Not a service: a key that leaked must not make others.
pub(super) struct Admin(pub(super) Caller);

impl FromRequestParts<State> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let caller = identify(state, &parts.headers)?;
        match caller.role {
            Role::Operator => Ok(Self(caller)),
            Role::Service | Role::Viewer => Err(Problem::forbidden("this needs the role operator")),
        }
    }
}

/// Whoever calls, if anyone that we know.
pub(super) struct Anyone(pub(super) Result<Caller, Problem>);

impl FromRequestParts<State> for Anyone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Infallible> {
        Ok(Self(identify(state, &parts.headers)))
    }
}

/// Whoever may ask for a token: anyone that we know, and where the configuration opens viewers'
/// tokens to all, anyone. Decided before the body is looked at.
pub(super) struct Asker(pub(super) Result<Caller, Problem>);

impl FromRequestParts<State> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        match identify(state, &parts.headers) {
            Err(problem) if state.config().access.viewer_tokens == Audience::Operator => {
                Err(problem)
            }
            caller => Ok(Self(caller)),
        }
    }
}
