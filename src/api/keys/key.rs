//! An API key: `scrim_ID_SECRET`, both parts random and in hex.
//!
//! The secret has 256 random bits, so a plain SHA-256 of it is as hard to invert as the secret is
//! to guess: slow hashes are for passwords that people choose. What is stored is the hash.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How every key begins, so that people and scanners know one when they see it.
pub(crate) const PREFIX: &str = "scrim_";

/// Bytes of an id: enough that two never meet, short enough to be read out.
const ID_BYTES: usize = 8;

/// The id of a server's first key.
const FIRST_ID: &str = "0000000000000001";

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// What is stored of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Whether both are the same, in a time that does not say how much of them is.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The hash in hex, as it is stored.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// A hash from hex; `None` when it is none.
    pub fn from_hex(text: &str) -> Option<Self> {
        Some(Self(unhex(text)?.try_into().ok()?))
    }
}

/// A key as its holder has it. Has no `Debug`: it must not be printed by accident.
pub struct Key {
    id: String,
    secret: String,
}

impl Key {
    /// A new key from the system's random numbers.
    ///
    /// # Errors
    ///
    /// When the system has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(Self { id: hex(&id), secret: hex(&secret) })
    }

    /// A new key under the one id that first keys have, so that two processes that start at once on
    /// one database make one.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers to give.
    pub fn first() -> Result<Self, getrandom::Error> {
        Ok(Self { id: FIRST_ID.to_owned(), ..Self::generate()? })
    }

    /// Reads what a caller sent; `None` when it is not of the shape of a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let fits = |part: &str, bytes| part.len() == 2 * bytes && unhex(part).is_some();
        (fits(id, ID_BYTES) && fits(secret, SECRET_BYTES))
            .then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The part that is no secret: names the key in lists and logs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is stored.
    pub fn hash(&self) -> Hash {
        Hash(Sha256::digest(self.secret.as_bytes()).into())
    }

    /// The whole key, for its holder alone.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Bytes from lower-case hex.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_reads_back_and_matches_its_hash_alone() {
        let (one, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let again = Key::parse(&one.expose()).unwrap();
        assert_eq!(again.id(), one.id());
        assert!(again.hash().matches(&one.hash()) && !again.hash().matches(&other.hash()));
        assert_eq!(Hash::from_hex(&one.hash().to_hex()), Some(one.hash()));
        assert_eq!(one.expose().len(), PREFIX.len() + 16 + 1 + 64);
        assert!(!one.hash().to_hex().contains(&one.secret));
    }

    #[test]
    fn what_is_no_key_is_none() {
        let key = Key::generate().unwrap().expose();
        let upper = key.to_uppercase();
        for bad in ["", "scrim_", "scrim__", &key[1..], &key[..key.len() - 1], &upper] {
            assert!(Key::parse(bad).is_none(), "{bad}");
        }
        assert!(Key::parse(&format!("{key}0")).is_none());
        assert!(Key::parse(&key.replace('_', "-")).is_none());
    }

    proptest! {
        #[test]
        fn hex_goes_both_ways(bytes: Vec<u8>) {
            prop_assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }

        #[test]
        fn parsing_never_panics(text in "(scrim_)?\\PC{0,100}") {
            let _ = Key::parse(&text);
        }
    }
}
