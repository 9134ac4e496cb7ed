//! Every route, by resource: what it does, who may call it, what it can answer.

mod access;
mod history;
mod pictures;
mod rules;
mod server;
mod streams;

use super::operation::Operation;

/// What stands before all routes.
pub(super) const ABOUT: &str = "\
JSON in and out, keys in camelCase, ids UUIDv7, times RFC 3339 in UTC.

**Errors** are `application/problem+json` (RFC 9457): `type` for programs, `detail` for people, \
`requestId` for whoever reads the log. Unknown fields are refused.

**Lists** give a page, newest first, and `nextCursor`; pass it as `cursor` for the next page. It is \
`null` on the last one. `limit` is from 1 to 200.

**Limits** are counted by client: `RateLimit-*` tells how much is left, and 429 brings \
`Retry-After`.

**Retries**: send `Idempotency-Key` with `POST /stream/start`, and the same call made twice starts \
one stream.";

/// Groups of routes.
pub(super) const TAGS: [(&str, &str); 7] = [
    ("streams", "Start, look at, cover and end streams."),
    ("tokens", "Tokens that let people into LiveKit's rooms."),
    ("rules", "What is covered."),
    ("pictures", "Pictures, texts and frames that are sent here."),
    ("events", "What happens, as it happens."),
    ("keys", "API keys for programs."),
    ("server", "The server itself."),
];

/// The id that examples have.
const ID: &str = "0198c0de-7a11-7bcd-8abc-0123456789ab";

/// Every operation of the API.
pub(super) fn all() -> Vec<Operation> {
    [streams::all(), rules::all(), pictures::all(), history::all(), access::all(), server::all()]
        .concat()
}
