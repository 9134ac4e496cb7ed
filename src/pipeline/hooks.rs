//! What tests may set that no operator can. Not in a release.

use std::sync::Mutex;
use std::time::Duration;

use super::switch;

static LINGER: Mutex<Option<Duration>> = Mutex::new(None);

/// How long nothing has been covered before a source is forwarded again, in every pipeline that
/// starts from now on.
pub fn set_linger(linger: Duration) {
    *LINGER.lock().expect("no panic under this lock") = Some(linger);
}

/// How a pipeline that starts now switches between forwarding and encoding.
pub(super) fn switching() -> switch::Config {
    let linger = *LINGER.lock().expect("no panic under this lock");
    linger.map_or_else(switch::Config::default, |linger| switch::Config { linger })
}
