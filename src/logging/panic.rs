//! The messages of panics.

use std::any::Any;

/// Returns the message of a panic, from its payload. `None` if the payload is not text, which
/// [`std::panic::panic_any`] allows.
///
/// ```
/// use std::panic::catch_unwind;
///
/// use httpool::logging::panic_message;
///
/// let payload = catch_unwind(|| panic!("no more tea")).unwrap_err();
/// assert_eq!(panic_message(&*payload), Some("no more tea"));
/// ```
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
