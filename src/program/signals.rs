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

/// The threads that wait for signals while the server runs; one of them also tells the service
/// manager how it goes.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Nothing is ever sent: that it is dropped says that the server has stopped.
    running: Sender<Infallible>,
    /// Disconnected when a second signal has asked to stop at once.
    insisted: Receiver<Infallible>,
    /// Where signals to reload come from.
    reloads: Source,
    threads: [JoinHandle<()>; 2],
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

#[derive(Debug, Clone, Copy)]
enum Signal {
    Stop(Instant),
    Reload,
}

impl Watch {
    /// Catches the signals from here on.
    pub(crate) fn start(handle: Handle, files: Vec<Reloaded>) -> io::Result<Self> {
        let (heard, signals) = bounded(UNHEARD);
        let stop = heard.clone();
        ctrlc::set_handler(move || {
            let _ = stop.try_send(Signal::Stop(Instant::now()));
        })
        .map_err(io::Error::other)?;
        let mut caught = Signals::new([SIGUSR1])?;
        let reloads = caught.handle();
        let (running, stopped) = bounded(0);
        let (patient, insisted) = bounded(0);
        let threads = [
            spawn("reloads", move || {
                for _ in caught.forever() {
                    let _ = heard.try_send(Signal::Reload);
                }
            })?,
            spawn("signals", move || {
                watch(&signals, &stopped, patient, &handle, &files);
            })?,
        ];
        Ok(Self {
            running,
            insisted,
            reloads,
            threads,
        })
    }

    /// Whether nothing is to be waited for any more.
    pub(crate) fn has_insisted(&self) -> bool {
        self.insisted.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Ends the threads. The server has stopped, so that signals mean nothing any more.
    pub(crate) fn finish(self) {
        drop(self.running);
        self.reloads.close();
        for thread in self.threads {
            if thread.join().is_err() {
                log::debug!("a thread that waits for signals panicked");
            }
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(body)
}

fn watch(
    signals: &Receiver<Signal>,
    stopped: &Receiver<Infallible>,
    patient: Sender<Infallible>,
    handle: &Handle,
    files: &[Reloaded],
) {
    let mut heard = Heard::default();
    let mut patient = Some(patient);
    let mut reports = systemd::Reports::new(handle);
    loop {
        let pulse = reports.interval().map_or_else(never, after);
        select! {
            recv(stopped) -> _ => return,
            recv(signals) -> signal => match signal {
                Ok(Signal::Reload) => reload(handle, files),
                Ok(Signal::Stop(at)) => match heard.signal(at) {
                    Wish::Stop => {
                        log::info!("stopping; another signal cuts what is not finished");
                        handle.shutdown();
                    }
                    Wish::StopNow => {
                        log::warn!("stopping at once");
                        handle.shutdown_now();
                        drop(patient.take());
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
    let is_running = handle.progress().phase == Phase::Running;
    if is_running {
        systemd::reloading();
    }
    if files.is_empty() {
        log::info!("there is nothing to reload: messages go to no file");
    }
    files.iter().for_each(Reloaded::reload);
    if is_running {
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
