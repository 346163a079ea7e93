//! Chooses how much output is sent at once.

use crate::connection::write_queue::GATHERED;

/// The largest burst is this many times twice as large as the smallest one: 256 KiB.
const MOST_DOUBLINGS: u8 = 2;

/// How much output a connection gathers for one send. Each send costs a call and ends a packet, so a
/// client that takes all of a burst gets a larger one next. Output that a client does not take must be
/// kept for it, so after that the client gets the smallest burst only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Burst {
    /// The client has taken everything so far.
    Doubled(u8),
    Smallest,
}

impl Burst {
    pub(super) const FIRST: Self = Self::Doubled(0);

    /// The bytes after which the output is sent.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Doubled(times) => GATHERED << times,
            Self::Smallest => GATHERED,
        }
    }

    /// Notes that the client has taken all of this much output.
    pub(super) fn note_taken(&mut self, bytes: usize) {
        if let Self::Doubled(times) = self
            && *times < MOST_DOUBLINGS
            && bytes >= GATHERED << *times
        {
            *times += 1;
        }
    }

    /// Notes that the client has left some output.
    pub(super) fn note_left(&mut self) {
        *self = Self::Smallest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_grow_while_the_client_takes_all() {
        let mut burst = Burst::FIRST;
        burst.note_taken(GATHERED - 1);
        assert_eq!(burst.size(), GATHERED);
        let sizes: Vec<usize> = (0..4)
            .map(|_| {
                burst.note_taken(burst.size());
                burst.size() / GATHERED
            })
            .collect();
        assert_eq!(sizes, [2, 4, 4, 4]);
    }

    #[test]
    fn client_that_has_left_output_gets_small_bursts() {
        let mut burst = Burst::Doubled(2);
        burst.note_left();
        burst.note_taken(GATHERED);
        assert_eq!(burst.size(), GATHERED);
    }
}
