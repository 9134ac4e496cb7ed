//! Who calls: bearer tokens (JWT, HS256) and what their role allows.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use livekit_api::access_token;
use serde::Deserialize;

use super::State;
use super::error::Problem;

/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 10;

/// What a token says about who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// A person who runs streams.
    Operator,
    /// A person who watches.
    Viewer,
    /// A program that runs streams.
    Service,
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
        // Reading any token installs the process's one HMAC backend, which `decode` then finds.
        let _ = access_token::Claims::from_unverified("");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self { key: (!dev).then(|| DecodingKey::from_secret(secret.as_bytes())), validation }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(key) = &self.key else {
            return Ok(Caller { sub: "dev".into(), role: Role::Operator });
        };
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            return Err(Problem::unauthenticated("a bearer token is needed"));
        };
        match jsonwebtoken::decode(token, key, &self.validation) {
            Ok(data) => Ok(data.claims),
            Err(error) => {
                tracing::debug!(%error, "token refused");
                let detail = "the token is not valid: wrong key, expired, or without sub and role";
                Err(Problem::unauthenticated(detail))
            }
        }
    }
}

/// A caller who may run streams: 401 without a token, 403 without the role.
pub(super) struct Operator(pub(super) Caller);

impl FromRequestParts<State> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let caller = state.verifier().caller(&parts.headers)?;
        match caller.role {
            Role::Operator | Role::Service => Ok(Self(caller)),
            Role::Viewer => Err(Problem::forbidden("this needs the role operator or service")),
        }
    }
}

/// Whoever calls, if anyone that we know.
pub(super) struct Anyone(pub(super) Result<Caller, Problem>);

impl FromRequestParts<State> for Anyone {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Infallible> {
        Ok(Self(state.verifier().caller(&parts.headers)))
    }
}
