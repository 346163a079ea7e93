//! The service manager: sockets it passes in, what it is told, and its journal.
//!
//! Each part does nothing where its variable is not set.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use httpool::{Handle, Phase, Progress, Vitals};
use listenfd::ListenFd;
use rustix::net::sockopt;
use sd_notify::NotifyState;

/// How often the manager hears how the server is.
const PULSE: Duration = Duration::from_secs(1);

/// The same for a watchdog that is in a hurry.
const MOMENT: Duration = Duration::from_millis(10);

/// How long the manager is asked to be patient, each time it hears that the drain goes on. Several
/// pulses long, so that a machine under load may miss some.
const PATIENCE: Duration = Duration::from_secs(15);

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

/// What the manager hears while the server runs.
#[derive(Debug)]
pub(crate) struct Reports {
    /// The manager restarts what it has not heard from for so long.
    watchdog: Option<Duration>,
    seen: Vitals,
    status: String,
}

impl Reports {
    pub(crate) fn new(handle: &Handle) -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            seen: handle.vitals(),
            status: String::new(),
        }
    }

    /// How often the manager is to hear, if there is one. The watchdog hears three times before it
    /// would act, so that one late look is no restart.
    pub(crate) fn interval(&self) -> Option<Duration> {
        env::var_os("NOTIFY_SOCKET")?;
        let watchdog = self.watchdog.map(|patience| patience / 3);
        Some(watchdog.map_or(PULSE, |interval| interval.clamp(MOMENT, PULSE)))
    }

    /// Tells how the server is, and that it moves, if it does.
    pub(crate) fn tell(&mut self, handle: &Handle) {
        let (progress, vitals) = (handle.progress(), handle.vitals());
        let drains = progress.phase > Phase::Running;
        let status = status(&progress);
        let mut states = Vec::new();
        if drains {
            let patience = PATIENCE.as_micros().try_into().unwrap_or(u32::MAX);
            states.push(NotifyState::Stopping);
            states.push(NotifyState::ExtendTimeoutUsec(patience));
        }
        if drains || status != self.status {
            states.push(NotifyState::Status(&status));
        }
        // The drain has a deadline of its own, and handlers may use all of it.
        let moves = drains || vitals.moved_since(&self.seen);
        if self.watchdog.is_some() {
            if moves {
                states.push(NotifyState::Watchdog);
            } else {
                log::warn!("acceptor or workers have not moved since the last look");
            }
        }
        notify(&states);
        self.seen = vitals;
        self.status = status;
    }
}

fn status(progress: &Progress) -> String {
    let Progress {
        open,
        answered,
        busy,
        workers,
        ..
    } = progress;
    let word = if progress.phase > Phase::Running {
        "draining"
    } else {
        "serving"
    };
    format!(
        "{word}: {open} connections open, {busy} of {workers} workers busy, \
         {answered} requests answered"
    )
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
    if states.is_empty() {
        return;
    }
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("cannot notify the service manager: {error}");
    }
}
