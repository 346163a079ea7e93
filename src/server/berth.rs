//! What is left of a connection with the server when it speaks another protocol than HTTP.

use std::sync::Arc;

use super::Shared;
use super::census::{Census, Seat};
use super::client::Client;
use crate::Phase;
use crate::connection::Why;
use crate::phase::PhaseCell;

/// Counts a connection until its stream is dropped, then as ended, and as cut if that comes too late.
struct Berth {
    _seat: Option<Seat>,
    census: Arc<Census>,
    phase: Arc<PhaseCell>,
}

impl Shared {
    /// Lets a connection go on in another protocol, until that has ended on this thread.
    #[cold]
    pub(super) fn go_on_otherwise(&self, client: &mut Client) {
        self.unwatch(client);
        let berth = Berth {
            _seat: client.seat.take(),
            census: Arc::clone(&self.census),
            phase: Arc::clone(&self.service.phase),
        };
        client.connection.go_on_otherwise(berth, &self.service);
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        // Before the seat is left, as with every end: who sees that nobody is there sees why, and when
        // the last one has left, the drain ends and is past that phase.
        self.census.add_ended(&Why::Upgraded);
        if self.phase.get() >= Phase::Forced {
            self.census.add_cut(1);
        }
    }
}
