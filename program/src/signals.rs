//! What signals ask for: SIGTERM and SIGINT drain the server, a second one aborts what is left, and
//! SIGHUP and SIGUSR1 have files opened or read again.
//!
//! A signal that was ignored when the program started stays ignored: `nohup` ignores SIGHUP, and a
//! shell without job control ignores SIGINT for what it starts with `&`.

use std::convert::Infallible;
use std::ffi::c_int;
use std::fs;
use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, after, bounded, never, select};
use httpool::{ErrorPageDir, Handle, Phase, ServeDir, Tls};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::{Handle as Source, Signals};
use signal_hook::low_level::signal_name;

use super::exit::Exit;
use super::log_file::LogFile;
use super::systemd;

/// Signals this close to the first are the same wish: a terminal's doubled Ctrl-C, or one sent to
/// the process and to its group.
const SAME_WISH: Duration = Duration::from_millis(300);

/// More signals than fit are more than anyone needs to be understood.
const UNHEARD: usize = 8;

/// The signals that are caught from the start of the program, before its flags are known. Until a
/// signal is caught it ends the process, also one that asks for a reload.
#[derive(Debug)]
pub(crate) struct Caught {
    signals: Signals,
    ignored: Ignored,
    /// Whether SIGTERM ends the process, as it does by default.
    is_given_back: Arc<AtomicBool>,
}

/// The threads that wait for signals while the server starts.
#[derive(Debug)]
pub(crate) struct Starting {
    watch: Watch,
    /// Where the watching thread gets the server from.
    server: Sender<Serving>,
    reloads: Receiver<c_int>,
}

/// The server that signals are about.
#[derive(Debug)]
struct Serving {
    handle: Handle,
    longest_drain: Duration,
}

/// The threads that wait for signals while the server runs. One of them also tells the service manager
/// how it goes. Files are the other one's, for whatever it opens may stand still.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Nothing is ever sent: that it is dropped says that the server has stopped.
    running: Sender<Infallible>,
    /// Disconnected when a second signal has asked to stop at once.
    insisted: Receiver<Infallible>,
    /// Where signals other than Ctrl-C come from.
    source: Source,
    thread: JoinHandle<()>,
}

/// What a signal to reload is for.
#[derive(Debug)]
pub(crate) enum Reloaded {
    /// It is opened again, for whoever has renamed it.
    Log(LogFile),
    /// They are read again.
    Pages(Arc<ErrorPageDir>),
    /// Its certificates and keys are read again.
    Tls(Tls),
    /// It is opened again, for whoever has put another one in its place.
    Folder(Arc<ServeDir>),
}

impl Caught {
    /// Catches signals from here on. Nothing is done about them before [`Self::watch`].
    pub(crate) fn install() -> io::Result<Self> {
        let ignored = Ignored::read();
        let is_given_back = Arc::new(AtomicBool::new(false));
        let caught = [SIGTERM, SIGHUP, SIGUSR1].into_iter();
        let caught: Vec<c_int> = caught.filter(|signal| !ignored.has(*signal)).collect();
        if caught.contains(&SIGTERM) {
            flag::register_conditional_default(SIGTERM, Arc::clone(&is_given_back))?;
        }
        Ok(Self {
            signals: Signals::new(caught)?,
            ignored,
            is_given_back,
        })
    }

    /// Has SIGTERM end the process again: there will be no server that it could drain.
    pub(crate) fn give_back(self) {
        self.is_given_back.store(true, Ordering::Relaxed);
    }

    /// Catches Ctrl-C too, and begins to act on signals.
    pub(crate) fn watch(mut self) -> io::Result<Starting> {
        let (stop, stops) = bounded(UNHEARD);
        // One reload that waits is enough: it reads whatever is there then.
        let (reload, reloads) = bounded(1);
        if !self.ignored.has(SIGINT) {
            let stop = stop.clone();
            ctrlc::set_handler(move || {
                let _ = stop.try_send(Instant::now());
            })
            .map_err(io::Error::other)?;
        }
        let source = self.signals.handle();
        let (running, stopped) = bounded(0);
        let (patient, insisted) = bounded(0);
        let (server, started) = bounded(1);
        spawn("dispatch", move || {
            for signal in self.signals.forever() {
                let _ = match signal {
                    SIGTERM => stop.try_send(Instant::now()).is_ok(),
                    _ => reload.try_send(signal).is_ok(),
                };
            }
        })?;
        let thread = spawn("signals", move || {
            let mut heard = SignalState::default();
            if let Some(serving) = wait_for_start(&mut heard, &stops, &started) {
                watch(heard, &stops, &stopped, patient, &serving);
            }
        })?;
        Ok(Starting {
            watch: Watch {
                running,
                insisted,
                source,
                thread,
            },
            server,
            reloads,
        })
    }
}

impl Starting {
    /// Goes on for this server, which drains for so long at most. Signals that came during the start
    /// are for it.
    pub(crate) fn serve(
        self,
        handle: Handle,
        longest_drain: Duration,
        files: Vec<Reloaded>,
    ) -> io::Result<Watch> {
        let (server, reloads) = (handle.clone(), self.reloads);
        spawn("reloads", move || {
            for signal in reloads {
                reload(signal, &server, &files);
            }
        })?;
        let serving = Serving {
            handle,
            longest_drain,
        };
        let sent = self.server.send(serving);
        debug_assert!(sent.is_ok(), "the thread waits for it");
        Ok(self.watch)
    }
}

impl Watch {
    /// Whether nothing is to be waited for any more.
    pub(crate) fn has_insisted(&self) -> bool {
        self.insisted.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Ends the threads. The server has stopped, so that signals mean nothing any more. What is being
    /// read again is not waited for.
    pub(crate) fn finish(self) {
        drop(self.running);
        self.source.close();
        if self.thread.join().is_err() {
            log::debug!("the thread that waits for signals panicked");
        }
    }
}

/// The signals that the process ignored when it started, as a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ignored(u64);

impl Ignored {
    /// None where `/proc` is not mounted.
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self::parse(&status)
    }

    fn parse(status: &str) -> Self {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Self(mask.unwrap_or(0))
    }

    fn has(self, signal: c_int) -> bool {
        self.0 & (1 << (signal - 1)) != 0
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(body)
}

/// The server, once it has started; `None` if it will not. A signal to stop waits for it, so that
/// clients of a moment between are served; a second one ends a start that stands still.
fn wait_for_start(
    heard: &mut SignalState,
    stops: &Receiver<Instant>,
    started: &Receiver<Serving>,
) -> Option<Serving> {
    loop {
        select! {
            recv(started) -> serving => return serving.ok(),
            recv(stops) -> stop => if heard.signal(stop.ok()?) == SignalAction::StopNow {
                process::exit(Exit::Failed.code().into());
            },
        }
    }
}

fn watch(
    mut heard: SignalState,
    stops: &Receiver<Instant>,
    stopped: &Receiver<Infallible>,
    patient: Sender<Infallible>,
    serving: &Serving,
) {
    let handle = &serving.handle;
    let mut reports = systemd::Reports::new(handle, serving.longest_drain);
    let mut patient = Some(patient);
    if heard.first.is_some() {
        stop(handle);
        reports.tell(handle);
    }
    loop {
        let pulse = reports.interval().map_or_else(never, after);
        select! {
            recv(stopped) -> _ => return,
            recv(stops) -> signal => match signal {
                Ok(at) => match heard.signal(at) {
                    SignalAction::Stop => stop(handle),
                    SignalAction::StopNow => {
                        handle.shutdown_now();
                        drop(patient.take());
                        log::warn!("aborting open requests");
                    }
                    SignalAction::Nothing => continue,
                },
                Err(_) => return,
            },
            recv(pulse) -> _ => {}
        }
        reports.tell(handle);
    }
}

fn stop(handle: &Handle) {
    handle.shutdown();
    log::info!("shutting down; send the signal again to abort open requests");
}

/// Nothing that is wrong now ends what went well so far.
fn reload(signal: c_int, handle: &Handle, files: &[Reloaded]) {
    // A server that drains has said so, and is not to seem ready again.
    let is_running = || handle.phase() == Phase::Running;
    if is_running() {
        systemd::reloading();
    }
    if files.is_empty() {
        let name = signal_name(signal).unwrap_or("signal");
        log::info!("{name} ignored: no log file, certificate or folder to reload");
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
                Ok(()) => log::info!("{} reopened", file.name),
                Err(error) => {
                    log::error!("{} not reopened, keeping the old file: {error}", file.name);
                }
            },
            Self::Pages(folder) => match folder.reload() {
                Ok(()) => log::info!("error pages reloaded"),
                Err(error) => {
                    log::error!("error page reload failed, keeping the old ones: {error}");
                }
            },
            Self::Tls(tls) => match tls.reload() {
                Ok(()) => log::info!("certificates reloaded"),
                Err(error) => {
                    log::error!("certificate reload failed, keeping the old ones: {error}");
                }
            },
            Self::Folder(files) => match files.reload() {
                Ok(()) => log::info!("folder reopened"),
                Err(error) => log::error!("folder not reopened, keeping the old one: {error}"),
            },
        }
    }
}

/// What a signal asks for, in the light of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignalAction {
    Stop,
    StopNow,
    Nothing,
}

/// The signals heard so far.
#[derive(Debug, Default)]
struct SignalState {
    first: Option<Instant>,
}

impl SignalState {
    fn signal(&mut self, at: Instant) -> SignalAction {
        match self.first {
            None => {
                self.first = Some(at);
                SignalAction::Stop
            }
            Some(first) if at.saturating_duration_since(first) < SAME_WISH => SignalAction::Nothing,
            Some(_) => SignalAction::StopNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_signal_is_one_and_a_later_one_insists() {
        let start = Instant::now();
        let mut heard = SignalState::default();
        let mut after = |millis| heard.signal(start + Duration::from_millis(millis));
        assert_eq!(after(0), SignalAction::Stop);
        assert_eq!(after(1), SignalAction::Nothing);
        assert_eq!(after(299), SignalAction::Nothing);
        assert_eq!(after(300), SignalAction::StopNow);
        assert_eq!(after(9_000), SignalAction::StopNow);
    }
}
