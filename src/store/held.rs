//! A connection for one transaction, which goes back to the pool only when that came to its end.
//!
//! SQLite undoes a transaction by itself when the disk is full. The driver does not hear of it: its
//! own undoing fails, it goes on counting the transaction as open, and opens every further one
//! inside it. Those are then acknowledged and never written. So a connection whose transaction
//! ended in any other way than it should is closed; the next one is made anew.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection};

#[derive(Debug)]
pub(super) struct Held {
    connection: PoolConnection<Any>,
    well: bool,
}

impl Held {
    pub(super) fn new(connection: PoolConnection<Any>) -> Self {
        Self { connection, well: false }
    }

    /// The transaction is over, one way or the other.
    pub(super) fn is_well(&mut self) {
        self.well = true;
    }
}

impl Deref for Held {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.well {
            self.connection.close_on_drop();
        }
    }
}
