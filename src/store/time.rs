//! Times as the database keeps them: microseconds since 1970, and as bounds of ids.

use jiff::Timestamp;
use uuid::Uuid;

/// A time as it is kept.
pub fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A kept time; what no calendar has becomes the nearest that one does.
pub(super) fn time(micros: i64) -> Timestamp {
    let edge = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(edge)
}

/// When an id of version 7 was made, to the millisecond; 1970 for any other.
pub fn at(id: Uuid) -> Timestamp {
    let millis = id.get_timestamp().map_or(0, |time| {
        let (seconds, nanos) = time.to_unix();
        i64::try_from(seconds).unwrap_or(i64::MAX / 2_000) * 1_000 + i64::from(nanos / 1_000_000)
    });
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The smallest id of version 7 that was made at `time` or later, as text. Parts of a millisecond
/// count as a whole one.
pub(super) fn first_id(time: Timestamp) -> String {
    let exact = time.as_millisecond();
    let whole = time.subsec_nanosecond() % 1_000_000 == 0;
    let millis = u128::try_from(if whole { exact } else { exact + 1 }).unwrap_or(0);
    Uuid::from_u128((millis & 0xffff_ffff_ffff) << 80).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::{NoContext, Timestamp as Stamp};

    use super::*;

    fn id(millis: i64) -> Uuid {
        let (seconds, rest) = (millis as u64 / 1_000, (millis % 1_000) as u32);
        Uuid::new_v7(Stamp::from_unix(NoContext, seconds, rest * 1_000_000))
    }

    proptest! {
        #[test]
        fn a_bound_divides_ids_as_it_divides_times(
            made in 0i64..4_000_000_000_000, bound in 0i64..4_000_000_000_000_000
        ) {
            let bound = Timestamp::from_microsecond(bound).unwrap();
            let made_at = Timestamp::from_millisecond(made).unwrap();
            prop_assert_eq!(at(id(made)), made_at);
            prop_assert_eq!(id(made).to_string() >= first_id(bound), made_at >= bound);
        }

        #[test]
        fn a_time_is_kept_to_the_microsecond(kept in any::<i64>()) {
            let read = time(kept);
            prop_assert!(read == time(micros(read)));
        }
    }
}
