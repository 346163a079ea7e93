//! Signals: SIGTERM and SIGINT start the shutdown, a second one aborts open requests, and SIGHUP
//! and SIGUSR1 reopen log files and reload certificates, error pages and the folder.
//!
//! A signal that was ignored when the program started stays ignored. `nohup` ignores SIGHUP, and a
//! shell without job control ignores SIGINT for commands with `&`.

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
use httpool::layers::PasswordHashes;
use httpool::{ErrorPageDir, Handle, Phase, ServeDir, Tls};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::iterator::{Handle as Source, Signals};
use signal_hook::low_level::signal_name;

use super::config::Reloader;
use super::exit::Exit;
use super::log_file::LogFile;
use super::systemd;

/// Signals within this time of the first one count as the same request. Ctrl-C may arrive twice,
/// and a signal may be sent both to the process and to its group.
const DUPLICATE_TIME: Duration = Duration::from_millis(300);

/// The number of stop signals that can wait. Two are enough to stop at once, so more may be
/// dropped.
const MAX_WAITING: usize = 8;

/// Signals that are caught from the start of the program, before its flags are parsed. A signal that
/// is not caught yet ends the process, even one that asks for a reload.
#[derive(Debug)]
pub(crate) struct CaughtSignals {
    signals: Signals,
    ignored: Ignored,
    /// Whether SIGTERM ends the process, as it does by default.
    is_restored: Arc<AtomicBool>,
}

/// The threads that wait for signals while the server starts.
#[derive(Debug)]
pub(crate) struct Starting {
    threads: SignalThreads,
    /// Sends the server to the signal thread.
    server: Sender<Serving>,
    reloads: Receiver<c_int>,
}

/// The server that the signals control.
#[derive(Debug)]
struct Serving {
    handle: Handle,
    longest_drain: Duration,
}

/// The threads that wait for signals while the server runs. The signal thread also reports to the
/// service manager. Reloading has a thread of its own, because opening a file may block.
#[derive(Debug)]
pub(crate) struct SignalThreads {
    /// Never carries a message. The signal thread ends when it is dropped.
    running: Sender<Infallible>,
    /// Disconnected once a second signal has asked to stop at once.
    stopping_now: Receiver<Infallible>,
    /// The source of all signals other than Ctrl-C.
    source: Source,
    thread: JoinHandle<()>,
}

/// Something that SIGHUP and SIGUSR1 reload.
#[derive(Debug)]
pub(crate) enum Reloadable {
    /// Reopened under its name, after a rotation has renamed the file.
    Log(LogFile),
    /// Read again.
    Pages(Arc<ErrorPageDir>),
    /// Certificates and keys are read again.
    Tls(Tls),
    /// Read again.
    Users(Arc<PasswordHashes>),
    /// Reopened under its name, after another folder has replaced it.
    Folder(Arc<ServeDir>),
    /// The configuration file is read again, with everything that it names.
    Config(Box<Reloader>),
}

impl CaughtSignals {
    /// Catches signals from now on. They have no effect until [`Self::start_threads`].
    pub(crate) fn install() -> io::Result<Self> {
        let ignored = Ignored::read();
        let is_restored = Arc::new(AtomicBool::new(false));
        let caught = [SIGTERM, SIGHUP, SIGUSR1].into_iter();
        let caught: Vec<c_int> = caught.filter(|signal| !ignored.has(*signal)).collect();
        let catches_term = caught.contains(&SIGTERM);
        // This comes first, so that a signal between the two registrations is not lost.
        let signals = Signals::new(caught)?;
        if catches_term {
            flag::register_conditional_default(SIGTERM, Arc::clone(&is_restored))?;
        }
        Ok(Self {
            signals,
            ignored,
            is_restored,
        })
    }

    /// Lets SIGTERM end the process again, because no server will start that it could drain.
    pub(crate) fn restore_default(self) {
        self.is_restored.store(true, Ordering::Relaxed);
    }

    /// Catches Ctrl-C too, and starts to handle signals.
    pub(crate) fn start_threads(mut self) -> io::Result<Starting> {
        let (stop, stop_signals) = bounded(MAX_WAITING);
        // One waiting reload is enough: it reads the newest files.
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
        let (stop_now, stopping_now) = bounded(0);
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
            let mut state = SignalState::default();
            if let Some(serving) = wait_for_start(&mut state, &stop_signals, &started) {
                control_server(state, &stop_signals, &stopped, stop_now, &serving);
            }
        })?;
        Ok(Starting {
            threads: SignalThreads {
                running,
                stopping_now,
                source,
                thread,
            },
            server,
            reloads,
        })
    }
}

impl Starting {
    /// Continues with this server, whose drain takes at most `longest_drain`. It also receives the
    /// signals that arrived during the start.
    pub(crate) fn serve(
        self,
        handle: Handle,
        longest_drain: Duration,
        files: Vec<Reloadable>,
    ) -> io::Result<SignalThreads> {
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
        debug_assert!(sent.is_ok(), "the signal thread waits for the server");
        Ok(self.threads)
    }
}

impl SignalThreads {
    /// Whether a second signal has asked to stop at once.
    pub(crate) fn must_stop_now(&self) -> bool {
        self.stopping_now.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Ends the threads after the server has stopped. It does not wait for a reload in progress.
    pub(crate) fn finish(self) {
        drop(self.running);
        self.source.close();
        if self.thread.join().is_err() {
            log::debug!("the signal thread panicked");
        }
    }
}

/// The signals that the process ignored at its start, as a bit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ignored(u64);

impl Ignored {
    /// Empty if `/proc` is not mounted.
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

/// Waits for the server to start; `None` if it does not. A signal to stop waits too, so that
/// clients that connected in the meantime are served. A second signal ends a start that hangs.
fn wait_for_start(
    state: &mut SignalState,
    stop_signals: &Receiver<Instant>,
    started: &Receiver<Serving>,
) -> Option<Serving> {
    loop {
        select! {
            recv(started) -> serving => return serving.ok(),
            recv(stop_signals) -> stop => if state.signal(stop.ok()?) == SignalAction::StopNow {
                process::exit(Exit::Failed.code().into());
            },
        }
    }
}

fn control_server(
    mut state: SignalState,
    stop_signals: &Receiver<Instant>,
    stopped: &Receiver<Infallible>,
    stop_now: Sender<Infallible>,
    serving: &Serving,
) {
    let handle = &serving.handle;
    let mut reports = systemd::Reports::new(handle, serving.longest_drain);
    let mut stop_now = Some(stop_now);
    if state.first.is_some() {
        stop(handle);
        reports.send(handle);
    }
    loop {
        let next_report = reports.interval().map_or_else(never, after);
        select! {
            recv(stopped) -> _ => return,
            recv(stop_signals) -> signal => match signal {
                Ok(at) => match state.signal(at) {
                    SignalAction::Stop => stop(handle),
                    SignalAction::StopNow => {
                        handle.shutdown_now();
                        drop(stop_now.take());
                        log::warn!("aborting open requests");
                    }
                    SignalAction::Nothing => continue,
                },
                Err(_) => return,
            },
            recv(next_report) -> _ => {}
        }
        reports.send(handle);
    }
}

fn stop(handle: &Handle) {
    // First, because a server without open requests may stop before the next line of this thread.
    log::info!("shutting down; send the signal again to abort open requests");
    handle.shutdown();
}

/// Reloads everything. An error changes nothing: the old files stay in use.
fn reload(signal: c_int, handle: &Handle, files: &[Reloadable]) {
    // A draining server has already reported this to the manager and must not appear ready again.
    let is_running = || handle.phase() == Phase::Running;
    if is_running() {
        systemd::reloading();
    }
    if files.is_empty() {
        let name = signal_name(signal).unwrap_or("signal");
        log::info!("{name} ignored: no log file, certificate or folder to reload");
    }
    files.iter().for_each(Reloadable::reload);
    if is_running() {
        systemd::reloaded();
    }
}

impl Reloadable {
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
            Self::Users(users) => match users.reload() {
                Ok(()) => log::info!("passwords reloaded"),
                Err(error) => {
                    log::error!("password reload failed, keeping the old ones: {error}");
                }
            },
            Self::Folder(files) => match files.reload() {
                Ok(()) => log::info!("folder reopened"),
                Err(error) => log::error!("folder not reopened, keeping the old one: {error}"),
            },
            Self::Config(reloader) => match reloader.reload() {
                Ok(warnings) => {
                    warnings.iter().for_each(|line| log::warn!("{line}"));
                    log::info!("configuration reloaded");
                }
                Err(line) => {
                    log::error!("configuration reload failed, keeping the old one: {line}");
                }
            },
        }
    }
}

/// The effect of a signal, given the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignalAction {
    Stop,
    StopNow,
    Nothing,
}

/// The stop signals received so far.
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
            Some(first) if at.saturating_duration_since(first) < DUPLICATE_TIME => {
                SignalAction::Nothing
            }
            Some(_) => SignalAction::StopNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_signal_counts_once_and_later_one_aborts() {
        let start = Instant::now();
        let mut state = SignalState::default();
        let mut after = |millis| state.signal(start + Duration::from_millis(millis));
        assert_eq!(after(0), SignalAction::Stop);
        assert_eq!(after(1), SignalAction::Nothing);
        assert_eq!(after(299), SignalAction::Nothing);
        assert_eq!(after(300), SignalAction::StopNow);
        assert_eq!(after(9_000), SignalAction::StopNow);
    }
}
