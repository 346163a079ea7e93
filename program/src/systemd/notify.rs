//! The socket on which the service manager is told how the service is (sd_notify(3)).
//!
//! The crate `sd-notify` takes `@name` for the path of a file (0.5), so its messages are sent here.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

/// Whether the last message did not arrive, and that has been logged.
static IS_DEAF: AtomicBool = AtomicBool::new(false);

/// The value of `NOTIFY_SOCKET`, if there is a manager that wants to be told.
pub(super) fn socket() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|value| !value.is_empty())
}

/// For how long the manager waits for a sign of life before it acts.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|time| !time.is_zero())
}

/// Tells the manager this. What can't be told is a warning, once until something can be told again.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    let Some(socket) = socket().filter(|_| !states.is_empty()) else {
        return;
    };
    match send(&socket, states) {
        Ok(()) => IS_DEAF.store(false, Ordering::Relaxed),
        Err(error) if IS_DEAF.swap(true, Ordering::Relaxed) => {
            log::debug!("cannot notify the service manager: {error}");
        }
        Err(error) => {
            log::warn!("cannot notify the service manager at NOTIFY_SOCKET {socket:?}: {error}");
        }
    }
}

/// Warns if the manager wants signs of life that it can't get.
pub(super) fn check_watchdog() {
    let Some(wanted) = env::var_os("WATCHDOG_USEC").filter(|value| !value.is_empty()) else {
        return;
    };
    let is_number = wanted
        .to_str()
        .is_some_and(|text| text.parse::<u64>().is_ok());
    if !is_number {
        log::warn!("WATCHDOG_USEC {wanted:?}: not a number of microseconds, so it is ignored");
    } else if watchdog().is_some() && socket().is_none() {
        log::warn!(
            "WATCHDOG_USEC is set and NOTIFY_SOCKET is not: the service manager gets no signs of \
             life (a unit needs NotifyAccess=main)"
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

/// A name behind `@` is abstract, everything else is a path.
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
