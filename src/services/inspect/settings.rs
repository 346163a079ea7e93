//! The limits and choices of an inspector.

use std::time::Duration;

/// Longer than the timeout of most clients, so that every timeout can be tested.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// Limits and choices of an [`Inspect`](super::Inspect).
///
/// ```
/// use std::time::Duration;
/// use httpool::services::inspect::Settings;
///
/// let settings = Settings::default().max_delay(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    max_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_delay: MAX_DELAY,
        }
    }
}

impl Settings {
    /// The longest time that a request can make its response wait. The default is a minute; a longer
    /// wish is shortened to it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use httpool::services::inspect::Settings;
    ///
    /// let settings = Settings::default().max_delay(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn max_delay(mut self, longest: Duration) -> Self {
        self.max_delay = longest;
        self
    }

    pub(super) fn longest_delay(&self) -> Duration {
        self.max_delay
    }
}
