//! The service manager: passed sockets, notifications and the journal.
//!
//! Each part does nothing if its variable is not set.

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

/// A listening socket that was passed in, and the meaning of its name (`FileDescriptorName=`).
#[derive(Debug)]
pub(crate) struct PassedSocket {
    pub(crate) socket: OwnedFd,
    /// Proxies begin each connection with a PROXY protocol header.
    pub(crate) has_proxy_header: bool,
    /// Clients speak TLS.
    pub(crate) is_tls: bool,
}

/// The listening sockets that were passed in, in the order of the unit file.
///
/// This removes their variables from the environment. Call it once, and before there is a second
/// thread.
pub(crate) fn passed_sockets() -> io::Result<Vec<PassedSocket>> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .map(|index| {
            let socket = take(&mut passed, index)?;
            let name = names.next().unwrap_or_default();
            Ok(PassedSocket {
                socket,
                has_proxy_header: matches!(name, "proxied" | "tls-proxied"),
                is_tls: matches!(name, "tls" | "tls-proxied"),
            })
        })
        .collect()
}

/// Reports that the server listens.
pub(crate) fn ready(status: &str) {
    notify::check_watchdog();
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reports that a reload has begun. It ends with [`reloaded`].
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("cannot read the clock: {error}"),
    }
}

/// Reports that the reload has ended.
pub(crate) fn reloaded() {
    notify(&[NotifyState::Ready]);
}

/// Whether this output is the stream to the journal that the manager opened. It is not if it was
/// redirected, for example to a file or a pipe.
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
    // Only trying tells which kind of socket it is. If the attempt fails, the socket stays in the
    // list.
    let socket: Option<OwnedFd> = match passed.take_unix_listener(index) {
        Ok(socket) => socket.map(OwnedFd::from),
        Err(_) => passed.take_tcp_listener(index)?.map(OwnedFd::from),
    };
    socket.ok_or_else(|| io::Error::other("a socket is missing"))
}
