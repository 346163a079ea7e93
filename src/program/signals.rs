//! What signals ask for: one that ends programs asks the server to stop, a second one insists, and
//! `SIGUSR1` has files opened or read again.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, after, bounded, never, select};
use httpool::{Handle, PageFolder, Phase, Tls};
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::{Handle as Source, Signals};

use super::logging::LogFile;
use super::systemd;

/// Signals this close to the first are the same wish: a terminal's doubled Ctrl-C, or one sent to
/// the process and to its group.
const SAME_WISH: Duration = Duration::from_millis(300);

/// More signals than fit are more than anyone needs to be understood.
const UNHEARD: usize = 8;

/// The threads that wait for signals while the server runs. One of them also tells the service manager
/// how it goes. Files are the other one's, for whatever it opens may stand still.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Nothing is ever sent: that it is dropped says that the server has stopped.
    running: Sender<Infallible>,
    /// Disconnected when a second signal has asked to stop at once.
    insisted: Receiver<Infallible>,
    /// Where signals to reload come from.
    reloads: Source,
    thread: JoinHandle<()>,
}

/// What a signal to reload is for.
#[derive(Debug)]
pub(crate) enum Reloaded {
    /// It is opened again, for whoever has renamed it.
    Log(LogFile),
    /// They are read again.
    Pages(Arc<PageFolder>),
    /// Its certificates and keys are read again.
    Tls(Tls),
}

impl Watch {
    /// Catches the signals from here on, for a server that drains for so long at most.
    pub(crate) fn start(
        handle: Handle,
        longest_drain: Duration,
        files: Vec<Reloaded>,
    ) -> io::Result<Self> {
        let (heard, signals) = bounded(UNHEARD);
        ctrlc::set_handler(move || {
            let _ = heard.try_send(Instant::now());
        })
        .map_err(io::Error::other)?;
        let mut caught = Signals::new([SIGUSR1])?;
        let reloads = caught.handle();
        let (running, stopped) = bounded(0);
        let (patient, insisted) = bounded(0);
        let server = handle.clone();
        spawn("reloads", move || {
            for _ in caught.forever() {
                reload(&server, &files);
            }
        })?;
        let thread = spawn("signals", move || {
            let reports = systemd::Reports::new(&handle, longest_drain);
            watch(&signals, &stopped, patient, &handle, reports);
        })?;
        Ok(Self {
            running,
            insisted,
            reloads,
            thread,
        })
    }

    /// Whether nothing is to be waited for any more.
    pub(crate) fn has_insisted(&self) -> bool {
        self.insisted.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Ends the threads. The server has stopped, so that signals mean nothing any more. What is being
    /// read again is not waited for.
    pub(crate) fn finish(self) {
        drop(self.running);
        self.reloads.close();
        if self.thread.join().is_err() {
            log::debug!("the thread that waits for signals panicked");
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(body)
}

fn watch(
    signals: &Receiver<Instant>,
    stopped: &Receiver<Infallible>,
    patient: Sender<Infallible>,
    handle: &Handle,
    mut reports: systemd::Reports,
) {
    let mut heard = Heard::default();
    let mut patient = Some(patient);
    loop {
        let pulse = reports.interval().map_or_else(never, after);
        select! {
            recv(stopped) -> _ => return,
            recv(signals) -> signal => match signal {
                Ok(at) => match heard.signal(at) {
                    Wish::Stop => {
                        handle.shutdown();
                        log::info!("stopping; another signal cuts what is not finished");
                    }
                    Wish::StopNow => {
                        handle.shutdown_now();
                        drop(patient.take());
                        log::warn!("stopping at once");
                    }
                    Wish::Nothing => continue,
                },
                Err(_) => return,
            },
            recv(pulse) -> _ => {}
        }
        reports.tell(handle);
    }
}

/// Nothing that is wrong now ends what went well so far.
fn reload(handle: &Handle, files: &[Reloaded]) {
    // A server that drains has said so, and is not to seem ready again.
    let is_running = || handle.phase() == Phase::Running;
    if is_running() {
        systemd::reloading();
    }
    if files.is_empty() {
        log::info!("there is nothing to reload: messages go to no file");
    }
    files.iter().for_each(Reloaded::reload);
    if is_running() {
        systemd::reloaded();
    }
}

impl Reloaded {
    fn reload(&self) {
        match self {
            Self::Log(file) => match file.reopen() {
                Ok(()) => log::info!("the {} is open again", file.name),
                Err(error) => log::error!("the {} stays as it was: {error}", file.name),
            },
            Self::Pages(folder) => match folder.reload() {
                Ok(()) => log::info!("the error pages are read again"),
                Err(error) => log::error!("the error pages stay as they were: {error}"),
            },
            Self::Tls(tls) => match tls.reload() {
                Ok(()) => log::info!("the certificates are read again"),
                Err(error) => log::error!("the certificates stay as they were: {error}"),
            },
        }
    }
}

/// What a signal asks for, in the light of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stop,
    StopNow,
    Nothing,
}

/// The signals heard so far.
#[derive(Debug, Default)]
struct Heard {
    first: Option<Instant>,
}

impl Heard {
    fn signal(&mut self, at: Instant) -> Wish {
        match self.first {
            None => {
                self.first = Some(at);
                Wish::Stop
            }
            Some(first) if at.saturating_duration_since(first) < SAME_WISH => Wish::Nothing,
            Some(_) => Wish::StopNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_signal_is_one_and_a_later_one_insists() {
        let start = Instant::now();
        let mut heard = Heard::default();
        let mut after = |millis| heard.signal(start + Duration::from_millis(millis));
        assert_eq!(after(0), Wish::Stop);
        assert_eq!(after(1), Wish::Nothing);
        assert_eq!(after(299), Wish::Nothing);
        assert_eq!(after(300), Wish::StopNow);
        assert_eq!(after(9_000), Wish::StopNow);
    }
}
