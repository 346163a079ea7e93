//! Signals that shut a server down.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle as Source, Signals};

use super::{DrainReport, Handle, Server};
use crate::message::Handler;
use crate::sync::ignore_poison;

/// Ctrl-C, the signal of service managers, and the end of a terminal.
const SIGNALS: [c_int; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Signals within this time of the first one count as the same request. Ctrl-C may arrive twice,
/// and a signal may be sent both to the process and to its group.
const DUPLICATE_TIME: Duration = Duration::from_millis(300);

/// The servers of this process that signals shut down.
static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    servers: 0,
    is_default: None,
});

struct Watched {
    servers: usize,
    /// Whether the signals have their default effect. Set once the signals are caught.
    is_default: Option<Arc<AtomicBool>>,
}

/// A thread that shuts one server down when a signal arrives. It ends when this is dropped.
struct SignalThread {
    source: Source,
    thread: Option<JoinHandle<()>>,
    _watch: Watch,
}

/// Takes the default effect from the signals while a server runs.
struct Watch;

/// The effect of a signal, given the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    ShutDown,
    Abort,
    Nothing,
}

/// The signals received so far.
#[derive(Debug, Default)]
struct Received {
    first: Option<Instant>,
}

impl Server {
    /// Serves as [`run`](Self::run) does, until the process receives SIGINT (Ctrl-C), SIGTERM (from
    /// a service manager) or SIGHUP (the terminal was closed), or a [`Handle`] shuts the server
    /// down.
    ///
    /// The first signal begins the drain, which ends after
    /// [`Builder::drain_timeout`](crate::Builder::drain_timeout) at the latest. Another signal, at
    /// least 0.3 seconds later, aborts open requests. The log has a line for each of them.
    ///
    /// A signal that the process ignores when this is called stays ignored: `nohup` ignores SIGHUP,
    /// for example. The signals are caught from this call on. When it has returned, they end the
    /// process again, as they do by default. Several servers may run this way at once, and a signal
    /// shuts all of them down.
    ///
    /// Other handlers of these signals, for example of the crates `signal-hook` and `ctrlc`, may
    /// take the effect of this one, so use one or the other.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use httpool::{Request, Server};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let server = Server::builder()
    ///         .listen("localhost:4000")
    ///         .drain_timeout(Duration::from_secs(10))
    ///         .bind()?;
    ///     let report = server.run_until_signal(|_: Request| "hello\n")?;
    ///     println!("{report}");
    ///     if report.aborted > 0 {
    ///         return Err("requests were aborted".into());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and if the signals can't be caught.
    pub fn run_until_signal(self, handler: impl Handler) -> io::Result<DrainReport> {
        let _thread = SignalThread::start(self.handle())?;
        self.run(handler)
    }
}

impl SignalThread {
    fn start(server: Handle) -> io::Result<Self> {
        let ignored = Ignored::read();
        let caught = SIGNALS.into_iter().filter(|signal| !ignored.has(*signal));
        // This comes first, so that no signal is lost while the default effect is taken away.
        let mut signals = Signals::new(caught.clone())?;
        let watch = Watch::begin(caught)?;
        let source = signals.handle();
        let thread = thread::Builder::new().name("httpool-signals".into());
        let thread = thread.spawn(move || {
            let mut received = Received::default();
            for _ in signals.forever() {
                received.note(Instant::now()).apply(&server);
            }
        })?;
        Ok(Self {
            source,
            thread: Some(thread),
            _watch: watch,
        })
    }
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.source.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            debug!("the signal thread panicked");
        }
    }
}

impl Watch {
    fn begin(signals: impl Iterator<Item = c_int>) -> io::Result<Self> {
        let mut watched = ignore_poison(WATCHED.lock());
        let is_default = match &watched.is_default {
            Some(is_default) => Arc::clone(is_default),
            None => {
                let is_default = Arc::new(AtomicBool::new(false));
                for signal in signals {
                    flag::register_conditional_default(signal, Arc::clone(&is_default))?;
                }
                watched.is_default = Some(Arc::clone(&is_default));
                is_default
            }
        };
        is_default.store(false, Ordering::Relaxed);
        watched.servers += 1;
        Ok(Self)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = ignore_poison(WATCHED.lock());
        watched.servers -= 1;
        if let Some(is_default) = &watched.is_default
            && watched.servers == 0
        {
            is_default.store(true, Ordering::Relaxed);
        }
    }
}

impl Received {
    fn note(&mut self, at: Instant) -> Effect {
        match self.first {
            None => {
                self.first = Some(at);
                Effect::ShutDown
            }
            Some(first) if at.saturating_duration_since(first) < DUPLICATE_TIME => Effect::Nothing,
            Some(_) => Effect::Abort,
        }
    }
}

impl Effect {
    fn apply(self, server: &Handle) {
        match self {
            Self::ShutDown => {
                server.shutdown();
                info!("shutting down; send the signal again to abort open requests");
            }
            Self::Abort => {
                server.shutdown_now();
                warn!("aborting open requests");
            }
            Self::Nothing => {}
        }
    }
}

/// The signals that the process ignores, as a bit mask.
#[derive(Debug, Clone, Copy)]
struct Ignored(u64);

impl Ignored {
    /// Empty if `/proc` is not mounted.
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
        Self(mask.unwrap_or_default())
    }

    fn has(self, signal: c_int) -> bool {
        self.0 & (1 << (signal - 1)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_signal_counts_once_and_later_one_aborts() {
        let start = Instant::now();
        let mut received = Received::default();
        let mut after = |millis| received.note(start + Duration::from_millis(millis));
        assert_eq!(after(0), Effect::ShutDown);
        assert_eq!(after(299), Effect::Nothing);
        assert_eq!(after(300), Effect::Abort);
        assert_eq!(after(9_000), Effect::Abort);
    }
}
