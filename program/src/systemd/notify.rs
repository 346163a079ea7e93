//! The service manager's notification socket (sd_notify(3)).
//!
//! The crate `sd-notify` 0.5 treats `@name` as the path of a file, so this module sends the
//! messages itself.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

/// Whether the last message could not be sent and a warning about it was logged.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// The value of `NOTIFY_SOCKET`, if it is set.
pub(super) fn socket() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|value| !value.is_empty())
}

/// The time after which the manager restarts a service that sends no watchdog message.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|time| !time.is_zero())
}

/// Sends these states to the manager. The first failure is logged as a warning, and again after a
/// success.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    let Some(socket) = socket().filter(|_| !states.is_empty()) else {
        return;
    };
    match send(&socket, states) {
        Ok(()) => HAS_FAILED.store(false, Ordering::Relaxed),
        Err(error) if HAS_FAILED.swap(true, Ordering::Relaxed) => {
            log::debug!("cannot notify the service manager: {error}");
        }
        Err(error) => {
            log::warn!("cannot notify the service manager at NOTIFY_SOCKET {socket:?}: {error}");
        }
    }
}

/// Warns if the watchdog is configured but cannot work.
pub(super) fn check_watchdog() {
    let Some(timeout) = env::var_os("WATCHDOG_USEC").filter(|value| !value.is_empty()) else {
        return;
    };
    let is_number = timeout
        .to_str()
        .is_some_and(|text| text.parse::<u64>().is_ok());
    if !is_number {
        log::warn!("WATCHDOG_USEC {timeout:?}: not a number of microseconds, ignored");
    } else if watchdog().is_some() && socket().is_none() {
        log::warn!(
            "WATCHDOG_USEC is set but NOTIFY_SOCKET is not, so no watchdog messages are sent \
             (set NotifyAccess=main in the unit)"
        );
    }
}

fn send(socket: &OsStr, states: &[NotifyState<'_>]) -> io::Result<()> {
    let text: String = states.iter().map(|state| format!("{state}\n")).collect();
    let sender = UnixDatagram::unbound()?;
    sender.connect_addr(&address(socket)?)?;
    match sender.send(text.as_bytes())? {
        sent if sent == text.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// A name after `@` is abstract; all other values are paths.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        text if text.starts_with(b"vsock") => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "only paths and abstract names (@name) are supported",
        )),
        _ => SocketAddr::from_pathname(socket),
    }
}
