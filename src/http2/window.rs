//! Flow control (RFC 9113 sections 5.2 and 6.9): how much content may still be sent, and how much
//! the peer may still send. A stream and a connection have the same windows.

use std::num::NonZeroU32;

use super::{Error, ErrorCode, StreamId};

/// The largest window (RFC 9113 section 6.9.1).
pub const MAX_WINDOW: u32 = 0x7fff_ffff;

/// The window of a connection, and of streams without other settings (RFC 9113 section 6.9.2).
pub const DEFAULT_WINDOW: u32 = 65_535;

/// How much the peer allows to send. It is negative after the peer has reduced its initial window
/// (RFC 9113 section 6.9.2).
///
/// ```
/// use httpool::http2::SendWindow;
///
/// let mut window = SendWindow::new(100);
/// window.debit(70);
/// window.shift(-50).unwrap();
/// assert_eq!(window.available(), 0);
/// window.credit(30, None).unwrap();
/// assert_eq!(window.available(), 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendWindow {
    credit: i32,
}

impl SendWindow {
    /// A window of this size, at most [`MAX_WINDOW`].
    #[must_use]
    pub fn new(size: u32) -> Self {
        Self {
            credit: i32::try_from(size).unwrap_or(i32::MAX),
        }
    }

    /// The bytes that may be sent now.
    #[must_use]
    pub fn available(&self) -> u32 {
        u32::try_from(self.credit).unwrap_or(0)
    }

    /// Counts bytes that are sent.
    ///
    /// # Panics
    ///
    /// If there are more than [`available`](Self::available).
    pub fn debit(&mut self, bytes: u32) {
        assert!(bytes <= self.available(), "only what is allowed is sent");
        // It fits, because it is at most the credit.
        self.credit -= bytes as i32;
    }

    /// Adds a WINDOW_UPDATE of this stream, or of the connection if there is none.
    ///
    /// # Errors
    ///
    /// FLOW_CONTROL_ERROR if the window would exceed [`MAX_WINDOW`], for the stream or the
    /// connection whose window it is (RFC 9113 section 6.9.1).
    pub fn credit(&mut self, increment: u32, stream: Option<StreamId>) -> Result<(), Error> {
        let reason = "a WINDOW_UPDATE makes the window exceed 2^31-1";
        self.add(i64::from(increment))
            .ok_or(Error::of(stream, ErrorCode::FlowControlError, reason))
    }

    /// Changes the window of a stream as SETTINGS_INITIAL_WINDOW_SIZE has changed. It may become
    /// negative. The window of a connection does not change with it.
    ///
    /// # Errors
    ///
    /// FLOW_CONTROL_ERROR for the connection if the window would exceed [`MAX_WINDOW`] (RFC 9113
    /// section 6.9.2).
    pub fn shift(&mut self, change: i64) -> Result<(), Error> {
        let reason = "SETTINGS_INITIAL_WINDOW_SIZE makes a window exceed 2^31-1";
        self.add(change)
            .ok_or(Error::connection(ErrorCode::FlowControlError, reason))
    }

    fn add(&mut self, change: i64) -> Option<()> {
        let credit = i64::from(self.credit).checked_add(change)?;
        self.credit = i32::try_from(credit).ok()?;
        Some(())
    }
}

/// How much the peer may send. The window is given back in large steps, when half of it is due:
/// clients split their content when they get little (RFC 9113 section 5.2.2).
///
/// ```
/// use httpool::http2::ReceiveWindow;
///
/// let mut window = ReceiveWindow::new(100);
/// window.debit(60, None).unwrap();
/// window.release(40);
/// assert_eq!(window.update(), None);
/// window.release(20);
/// assert_eq!(window.update().map(|increment| increment.get()), Some(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveWindow {
    /// The window when nothing is held and no update is due.
    size: u32,
    /// What the peer may still send. It is negative after the window was reduced.
    credit: i32,
    /// What a WINDOW_UPDATE can give back.
    due: u32,
}

impl ReceiveWindow {
    /// A window of this size, at most [`MAX_WINDOW`].
    #[must_use]
    pub fn new(size: u32) -> Self {
        let size = size.min(MAX_WINDOW);
        Self {
            size,
            // It is at most 2^31-1.
            credit: size as i32,
            due: 0,
        }
    }

    /// What the peer may still send.
    #[must_use]
    pub fn available(&self) -> u32 {
        u32::try_from(self.credit).unwrap_or(0)
    }

    /// The window when nothing is held.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Counts a DATA frame of this stream, or of the connection if there is none, when its head
    /// arrives. The length includes padding.
    ///
    /// # Errors
    ///
    /// FLOW_CONTROL_ERROR if the peer sends more than it may, for the stream or the connection
    /// whose window it is (RFC 9113 section 6.9.1).
    pub fn debit(&mut self, length: u32, stream: Option<StreamId>) -> Result<(), Error> {
        let reason = "a DATA frame exceeds the window";
        if length > self.available() {
            return Err(Error::of(stream, ErrorCode::FlowControlError, reason));
        }
        self.credit -= length as i32;
        Ok(())
    }

    /// Makes received bytes due, because they need no memory any more. More than was received is
    /// not counted.
    pub fn release(&mut self, bytes: u32) {
        let held = i64::from(self.size) - i64::from(self.credit) - i64::from(self.due);
        // Neither a size nor what is held exceeds 2^31-1.
        self.due += bytes.min(u32::try_from(held).unwrap_or(0));
    }

    /// Makes the window smaller without an update, because the peer has acknowledged a smaller
    /// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.9.2).
    pub fn shrink(&mut self, less: u32) {
        let less = less.min(self.size);
        self.size -= less;
        self.credit -= less as i32;
    }

    /// Makes the window larger, at most [`MAX_WINDOW`]. A smaller size changes nothing.
    pub fn grow(&mut self, size: u32) {
        let size = size.min(MAX_WINDOW);
        self.due += size.saturating_sub(self.size);
        self.size = self.size.max(size);
    }

    /// The increment of a WINDOW_UPDATE, if at least half of the window is due. It counts as sent.
    pub fn update(&mut self) -> Option<NonZeroU32> {
        if self.due < self.size.div_ceil(2) {
            return None;
        }
        let increment = NonZeroU32::new(self.due)?;
        self.credit += self.due as i32;
        self.due = 0;
        Some(increment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream() -> Option<StreamId> {
        StreamId::new(3)
    }

    #[test]
    fn overflow_has_the_scope_of_the_window() {
        for (id, is_connection) in [(None, true), (stream(), false)] {
            let mut window = SendWindow::new(1);
            assert_eq!(window.credit(MAX_WINDOW - 1, id), Ok(()));
            let error = window.credit(1, id).expect_err("2^31 is too large");
            assert_eq!(error.code(), ErrorCode::FlowControlError);
            assert_eq!(matches!(error, Error::Connection { .. }), is_connection);
            assert_eq!(window.available(), MAX_WINDOW);
        }
    }

    #[test]
    fn overflow_by_settings_ends_the_connection() {
        let mut window = SendWindow::new(DEFAULT_WINDOW);
        assert_eq!(window.credit(10, stream()), Ok(()));
        let change = i64::from(MAX_WINDOW - DEFAULT_WINDOW);
        let error = window.shift(change).expect_err("the window is too large");
        assert_eq!(error.code(), ErrorCode::FlowControlError);
        assert!(matches!(error, Error::Connection { .. }));
    }

    /// The example of RFC 9113 section 6.9.2.
    #[test]
    fn a_smaller_initial_window_makes_windows_negative() {
        let mut window = SendWindow::new(DEFAULT_WINDOW);
        window.debit(60 * 1024);
        assert_eq!(window.shift(16 * 1024 - i64::from(DEFAULT_WINDOW)), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.credit(44 * 1024, stream()), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.credit(1, stream()), Ok(()));
        assert_eq!(window.available(), 1);
    }

    #[test]
    fn the_lowest_window_can_be_represented() {
        let mut window = SendWindow::new(MAX_WINDOW);
        window.debit(MAX_WINDOW);
        assert_eq!(window.shift(-i64::from(MAX_WINDOW)), Ok(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.shift(i64::from(MAX_WINDOW)), Ok(()));
        assert_eq!(window.credit(7, None), Ok(()));
        assert_eq!(window.available(), 7);
    }

    #[test]
    fn more_than_the_window_is_an_error_with_its_scope() {
        for (id, is_connection) in [(None, true), (stream(), false)] {
            let mut window = ReceiveWindow::new(10);
            assert_eq!(window.debit(10, id), Ok(()));
            assert_eq!(window.debit(0, id), Ok(()));
            let error = window.debit(1, id).expect_err("the window is empty");
            assert_eq!(error.code(), ErrorCode::FlowControlError);
            assert_eq!(matches!(error, Error::Connection { .. }), is_connection);
        }
    }

    #[test]
    fn update_is_due_at_half_of_the_window() {
        let mut window = ReceiveWindow::new(101);
        assert_eq!(window.debit(101, None), Ok(()));
        window.release(50);
        assert_eq!(window.update(), None);
        window.release(1);
        assert_eq!(window.update(), NonZeroU32::new(51));
        assert_eq!(window.available(), 51);
        assert_eq!(window.update(), None);
    }

    #[test]
    fn empty_window_needs_no_update() {
        let mut window = ReceiveWindow::new(0);
        assert_eq!(window.update(), None);
        window.grow(4);
        assert_eq!(window.update(), NonZeroU32::new(4));
    }

    #[test]
    fn connection_window_is_raised_from_its_default() {
        let mut window = ReceiveWindow::new(DEFAULT_WINDOW);
        window.grow(16 << 20);
        let increment = (16 << 20) - DEFAULT_WINDOW;
        assert_eq!(window.update(), NonZeroU32::new(increment));
        assert_eq!(window.available(), 16 << 20);
        window.grow(100);
        assert_eq!(window.available(), 16 << 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// A peer that gets every update never meets a window above its size, and loses nothing.
        #[test]
        fn receive_window_loses_no_credit(
            size in 0..=MAX_WINDOW,
            steps in prop::collection::vec((0..=MAX_WINDOW, 0..=MAX_WINDOW), 0..50),
        ) {
            let mut window = ReceiveWindow::new(size);
            let mut held = 0;
            for (sent, released) in steps {
                let sent = sent.min(window.available());
                prop_assert_eq!(window.debit(sent, None), Ok(()));
                held += sent;
                window.release(released);
                held -= released.min(held);
                window.update();
                prop_assert!(window.available() <= size);
            }
            window.release(held);
            window.update();
            prop_assert!(window.available() > size / 2 || size == 0);
        }

        /// The window is what a model without bounds says, or an error.
        #[test]
        fn send_window_agrees_with_unbounded_arithmetic(
            size in 0..=MAX_WINDOW,
            steps in prop::collection::vec((0..3, 0..=MAX_WINDOW), 0..50),
        ) {
            let mut window = SendWindow::new(size);
            let (mut model, mut initial) = (i64::from(size), i64::from(size));
            for (step, value) in steps {
                let value = i64::from(value);
                let (change, result) = match step {
                    0 => {
                        let sent = value.min(model.max(0));
                        window.debit(sent as u32);
                        (-sent, Ok(()))
                    }
                    1 => (value, window.credit(value as u32, None)),
                    _ => (value - initial, window.shift(value - initial)),
                };
                prop_assert_eq!(result.is_ok(), model + change <= i64::from(MAX_WINDOW));
                if result.is_err() {
                    break;
                }
                model += change;
                if step == 2 {
                    initial = value;
                }
                prop_assert_eq!(i64::from(window.available()), model.max(0));
            }
        }
    }
}
