//! The service manager: sockets it passes in, what it is told, and its journal.
//!
//! Each part does nothing where its variable is not set.

mod notify;
mod reports;

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use notify::notify;
pub(crate) use reports::Reports;

/// A listening socket that was passed in, and what its name (`FileDescriptorName=`) says of it.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) socket: OwnedFd,
    /// Proxies begin each connection with a PROXY protocol header.
    pub(crate) is_proxied: bool,
    /// Clients speak TLS.
    pub(crate) is_tls: bool,
}

/// The listening sockets passed in, in the order of the unit file.
///
/// This takes their variables out of the environment, so it is to be called before there is a
/// second thread, and once.
pub(crate) fn passed_sockets() -> io::Result<Vec<Passed>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .map(|index| {
            let socket = take(&mut passed, index)?;
            let name = names.next().unwrap_or_default();
            Ok(Passed {
                socket,
                is_proxied: matches!(name, "proxied" | "tls-proxied"),
                is_tls: matches!(name, "tls" | "tls-proxied"),
            })
        })
        .collect()
}

/// The server listens.
pub(crate) fn ready(status: &str) {
    notify::check_watchdog();
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Settings are read again, until [`reloaded`].
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("cannot read the clock: {error}"),
    }
}

/// The server goes on with what it has read.
pub(crate) fn reloaded() {
    notify(&[NotifyState::Ready]);
}

/// Whether this output is the stream to the journal that the manager opened, and not, say, a file or
/// pipe that it was redirected to since.
pub(crate) fn is_journal(output: impl AsFd) -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let identity = || {
        let output = File::from(output.as_fd().try_clone_to_owned()?);
        let metadata = output.metadata()?;
        io::Result::Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
    };
    identity().is_ok_and(|identity| identity == stream)
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<OwnedFd> {
    // Only the attempt tells which kind it is; one that fails leaves the socket in its place.
    let socket: Option<OwnedFd> = match passed.take_unix_listener(index) {
        Ok(socket) => socket.map(OwnedFd::from),
        Err(_) => passed.take_tcp_listener(index)?.map(OwnedFd::from),
    };
    socket.ok_or_else(|| io::Error::other("a socket is missing"))
}
