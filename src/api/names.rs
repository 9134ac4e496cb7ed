//! Names that may be used, and the pair of rooms.

/// What the viewers' room of a raw room is called after its name.
pub const PROCESSED_SUFFIX: &str = "-processed";

/// The server's own identity in both rooms. LiveKit puts out whoever was there under an identity
/// that joins again, so nobody else may have it.
const OWN_IDENTITY: &str = "scrim";

/// The viewers' room of a raw room.
pub fn processed(room: &str) -> String {
    format!("{room}{PROCESSED_SUFFIX}")
}

/// The raw room of a viewers' room; `None` for any other.
pub(super) fn raw_of(room: &str) -> Option<&str> {
    room.strip_suffix(PROCESSED_SUFFIX)
}

/// Whether this is the name of a raw room: 3 to 50 of letters, digits, `-` and `_`, and not the
/// name of a viewers' room.
pub(super) fn check_room(room: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !(3..=50).contains(&room.len()) || !room.bytes().all(allowed) {
        return Err("roomName must be 3 to 50 letters, digits, - or _".into());
    }
    if raw_of(room).is_some() {
        return Err(format!("roomName must not end in {PROCESSED_SUFFIX}: that is for viewers"));
    }
    Ok(())
}

/// Whether this is a participant's name: 2 to 50 of letters, digits, space, `-` and `_`, and not
/// the server's own.
pub(super) fn check_participant(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_');
    if !(2..=50).contains(&name.len()) || !name.bytes().all(allowed) {
        return Err("participantName must be 2 to 50 letters, digits, spaces, - or _".into());
    }
    if name.trim() != name {
        return Err("participantName must not begin or end with a space".into());
    }
    if name.eq_ignore_ascii_case(OWN_IDENTITY) {
        return Err(format!("participantName must not be {OWN_IDENTITY}: that is the server"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_have_bounds() {
        for good in ["abc", "A-b_9", &"x".repeat(50)] {
            assert!(check_room(good).is_ok(), "{good}");
        }
        let long = "x".repeat(51);
        for bad in ["", "ab", "a b c", "räume", "a/b/c", "stage-processed", "-processed", &long] {
            assert!(check_room(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn participant_names_have_bounds() {
        for good in ["Al", "Ann B_c-9", &"x".repeat(50)] {
            assert!(check_participant(good).is_ok(), "{good}");
        }
        let long = "x".repeat(51);
        for bad in ["", "a", "  ", " Ann", "scrim", "Zoë", "a\nb", &long] {
            assert!(check_participant(bad).is_err(), "{bad}");
        }
    }
}
