//! The service manager: sockets it passes in, what it is told, and its journal.
//!
//! Each part does nothing where its variable is not set.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use httpool::Progress;
use listenfd::ListenFd;
use rustix::net::sockopt;
use sd_notify::NotifyState;

/// How long the manager is asked to be patient, each time it hears that the drain goes on. Several
/// pulses long, so that a machine under load may miss some.
const PATIENCE: Duration = Duration::from_secs(15);

/// The listening sockets passed in, in the order of the unit file.
///
/// This takes their variables out of the environment, so it is to be called before there is a
/// second thread, and once.
pub(crate) fn passed_sockets() -> io::Result<Vec<OwnedFd>> {
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .map(|index| take(&mut passed, index))
        .collect()
}

/// The server listens.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The server is stopping, and needs a moment yet.
pub(crate) fn draining(progress: &Progress) {
    let status = format!(
        "draining: {} connections open, {} requests answered",
        progress.open, progress.answered
    );
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status(&status),
        NotifyState::ExtendTimeoutUsec(PATIENCE.as_micros().try_into().unwrap_or(u32::MAX)),
    ]);
}

/// Whether standard error is the stream to the journal that the manager opened, and not, say, a
/// file or pipe that it was redirected to since.
pub(crate) fn stderr_is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let identity = || {
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let metadata = stderr.metadata()?;
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
    let socket = socket.ok_or_else(|| io::Error::other("a socket is missing"))?;
    if !sockopt::socket_acceptconn(&socket)? {
        return Err(io::Error::other(
            "a socket does not listen (Accept=yes is not supported)",
        ));
    }
    Ok(socket)
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("cannot notify the service manager: {error}");
    }
}
