//! How much useless work a client causes: frames that cost the server more than the client.

use std::time::{Duration, Instant};

use super::{Error, ErrorCode};

/// The points that an honest client may use at once.
const CAPACITY: u32 = 1000;

/// The points that a client gets back per second.
const PER_SECOND: u32 = 33;

/// The bytes of content, in both directions, that forgive one.
const BYTES_PER_REFUND: usize = 16 * 1024;

/// WINDOW_UPDATEs and PINGs that are free for each DATA frame and each response. Many clients send
/// two WINDOW_UPDATEs for a DATA frame, and gRPC sends a PING with them to measure the bandwidth.
const FREE_PER_FRAME: u32 = 3;

/// What a client does that costs it less than the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbuseKind {
    /// Resets of requests before their responses (CVE-2023-44487).
    Resets,
    /// Frames that make the server reset a stream (CVE-2025-8671).
    StreamErrors,
    /// PINGs (CVE-2019-9512).
    Pings,
    /// SETTINGS (CVE-2019-9515).
    Settings,
    /// PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
    Priorities,
    /// WINDOW_UPDATEs.
    WindowUpdates,
    /// Frames without content that end nothing (CVE-2019-9518).
    EmptyFrames,
    /// Responses that end because the client gives them no window (CVE-2019-9517).
    Stalls,
    /// Frames that have no effect: of unknown types, on closed streams, and requests after the
    /// last.
    IgnoredFrames,
}

impl AbuseKind {
    /// All kinds in their order.
    pub const ALL: [Self; 9] = [
        Self::Resets,
        Self::StreamErrors,
        Self::Pings,
        Self::Settings,
        Self::Priorities,
        Self::WindowUpdates,
        Self::EmptyFrames,
        Self::Stalls,
        Self::IgnoredFrames,
    ];

    /// The kind as a word for metrics.
    ///
    /// ```
    /// use httpool::http2::AbuseKind;
    ///
    /// assert_eq!(AbuseKind::Pings.as_str(), "pings");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::StreamErrors => "stream_errors",
            Self::Pings => "pings",
            Self::Settings => "settings",
            Self::Priorities => "priorities",
            Self::WindowUpdates => "window_updates",
            Self::EmptyFrames => "empty_frames",
            Self::Stalls => "stalls",
            Self::IgnoredFrames => "ignored_frames",
        }
    }

    /// The reason in the error of the connection, for logs and the debug data of GOAWAY.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Resets => "too many requests are reset before their responses",
            Self::StreamErrors => "too many frames break the rules of their streams",
            Self::Pings => "too many PINGs",
            Self::Settings => "too many SETTINGS",
            Self::Priorities => "too many changes of priorities",
            Self::WindowUpdates => "too many WINDOW_UPDATEs",
            Self::EmptyFrames => "too many empty frames",
            Self::Stalls => "too many responses get no window",
            Self::IgnoredFrames => "too many frames without effect",
        }
    }

    /// The points that one costs. A reset wastes a decoded head and perhaps a handler. But a browser resets
    /// all requests of a page that is left, up to 100 at once, and may do so twice in a row. A
    /// response without a window wastes all of its work, but 100 that are paused at once are allowed.
    const fn cost(self) -> u32 {
        match self {
            Self::Resets => 4,
            Self::StreamErrors | Self::Stalls => 10,
            Self::Pings
            | Self::Settings
            | Self::Priorities
            | Self::WindowUpdates
            | Self::EmptyFrames
            | Self::IgnoredFrames => 1,
        }
    }
}

/// The score of one connection: a bucket from which useless frames take, and which refills with time
/// and with useful work. The connection of a client that empties it ends with ENHANCE_YOUR_CALM.
///
/// Small DATA frames cost nothing, because a gRPC client sends its messages in them. Their content
/// needs no memory of its own, and windows and limits of bodies bound it as in HTTP/1.1.
///
/// ```
/// use httpool::http2::{AbuseKind, AbuseScore};
///
/// let mut score = AbuseScore::default();
/// while score.charge(AbuseKind::StreamErrors).is_ok() {}
/// assert_eq!(score.emptied_by(), Some(AbuseKind::StreamErrors));
/// ```
#[derive(Debug)]
pub struct AbuseScore {
    left: u32,
    /// WINDOW_UPDATEs and PINGs that cost nothing.
    free: u32,
    /// Content that has forgiven nothing yet.
    bytes: u32,
    /// Up to when time was forgiven.
    refilled: Option<Instant>,
    emptied_by: Option<AbuseKind>,
}

impl Default for AbuseScore {
    fn default() -> Self {
        Self {
            left: CAPACITY,
            free: 0,
            bytes: 0,
            refilled: None,
            emptied_by: None,
        }
    }
}

impl AbuseScore {
    /// Charges one frame.
    ///
    /// # Errors
    ///
    /// ENHANCE_YOUR_CALM for the connection if the client has done too much.
    pub fn charge(&mut self, kind: AbuseKind) -> Result<(), Error> {
        if matches!(kind, AbuseKind::WindowUpdates | AbuseKind::Pings) && self.free > 0 {
            self.free -= 1;
            return Ok(());
        }
        let Some(left) = self.left.checked_sub(kind.cost()) else {
            self.emptied_by = Some(kind);
            let code = ErrorCode::EnhanceYourCalm;
            return Err(Error::connection(code, kind.reason()));
        };
        self.left = left;
        Ok(())
    }

    /// Forgives what time forgives.
    pub fn refill(&mut self, now: Instant) {
        let since = *self.refilled.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= Duration::from_secs(u64::from(CAPACITY)) {
            self.refilled = Some(now);
            self.refund(CAPACITY);
            return;
        }
        // Less than 1,000 seconds, so the numbers are small.
        let amount = (elapsed.as_millis() as u32) * PER_SECOND / 1000;
        if amount > 0 {
            let spent = Duration::from_millis(u64::from(amount * 1000 / PER_SECOND));
            self.refilled = Some(since + spent);
            self.refund(amount);
        }
    }

    /// A request has its response.
    pub fn responded(&mut self) {
        self.refund(1);
        self.allow_answers();
    }

    /// A DATA frame of ours with this much content, which the client may acknowledge.
    pub fn sent(&mut self, content: usize) {
        self.moved(content);
        self.allow_answers();
    }

    /// Content arrived.
    pub fn received(&mut self, content: usize) {
        self.moved(content);
    }

    /// The kind of frame that was too much, for metrics.
    #[must_use]
    pub fn emptied_by(&self) -> Option<AbuseKind> {
        self.emptied_by
    }

    fn moved(&mut self, content: usize) {
        let bytes = self.bytes as usize + content;
        self.bytes = (bytes % BYTES_PER_REFUND) as u32;
        if bytes >= BYTES_PER_REFUND {
            let amount = bytes / BYTES_PER_REFUND;
            self.refund(u32::try_from(amount).unwrap_or(CAPACITY));
        }
    }

    fn refund(&mut self, amount: u32) {
        self.left = self.left.saturating_add(amount).min(CAPACITY);
    }

    fn allow_answers(&mut self) {
        self.free = (self.free + FREE_PER_FRAME).min(CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emptied() -> AbuseScore {
        let mut score = AbuseScore::default();
        while score.charge(AbuseKind::Settings).is_ok() {}
        score
    }

    /// The remaining allowance before the next error.
    fn left(score: &mut AbuseScore) -> u32 {
        let mut count = 0;
        while score.charge(AbuseKind::Settings).is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn all_lists_every_kind() {
        for (index, kind) in AbuseKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
        let last = AbuseKind::IgnoredFrames as usize;
        assert_eq!(last + 1, AbuseKind::ALL.len());
    }

    #[test]
    fn time_refills_the_bucket() {
        let start = Instant::now();
        for step in [1, 7, 30, 31, 100, 999, 2000] {
            let mut score = emptied();
            score.refill(start);
            assert_eq!(left(&mut score), 0);
            let mut now = start;
            while now < start + Duration::from_secs(10) {
                now += Duration::from_millis(step);
                score.refill(now);
            }
            let left = left(&mut score);
            assert!((325..=410).contains(&left), "{left} with {step} ms");
        }
    }

    #[test]
    fn bucket_is_never_more_than_full() {
        let start = Instant::now();
        let mut score = AbuseScore::default();
        score.refill(start);
        score.refill(start + Duration::from_secs(1_000_000));
        score.refill(start + Duration::from_secs(1_000_999));
        score.received(usize::MAX / 2);
        score.responded();
        assert_eq!(left(&mut score), CAPACITY);
    }

    #[test]
    fn content_is_counted_in_any_pieces() {
        for piece in [1, 1000, 16_384, 16_385] {
            let mut score = emptied();
            for _ in 0..(100 * 16_384) / piece {
                score.received(piece);
            }
            assert!((98..=100).contains(&left(&mut score)));
        }
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut score = emptied();
        score.refill(start);
        score.refill(start - Duration::from_secs(5));
        assert_eq!(left(&mut score), 0);
    }
}
