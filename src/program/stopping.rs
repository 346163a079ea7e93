//! From a signal to the end: one asks the server to stop, a second one insists.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};
use httpool::Handle;

use super::systemd;

/// Signals this close to the first are the same wish: a terminal's doubled Ctrl-C, or one sent to
/// the process and to its group.
const SAME_WISH: Duration = Duration::from_millis(300);

/// How often the service manager hears how the drain goes.
const PULSE: Duration = Duration::from_secs(1);

/// The thread that waits for signals while the server runs.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Nothing is ever sent: that it is dropped says that the server has stopped.
    running: Sender<Infallible>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Catches the signals from here on.
    pub(crate) fn start(handle: Handle) -> io::Result<Self> {
        // More signals than fit are more than anyone needs to be understood.
        let (signal, signals) = bounded(8);
        ctrlc::set_handler(move || {
            let _ = signal.try_send(Instant::now());
        })
        .map_err(io::Error::other)?;
        let (running, stopped) = bounded(0);
        let thread = thread::Builder::new()
            .name("signals".into())
            .spawn(move || watch(&signals, &stopped, &handle))?;
        Ok(Self { running, thread })
    }

    /// Ends the thread. The server has stopped, so that signals mean nothing any more.
    pub(crate) fn finish(self) {
        drop(self.running);
        if self.thread.join().is_err() {
            log::debug!("the thread that waits for signals panicked");
        }
    }
}

fn watch(signals: &Receiver<Instant>, stopped: &Receiver<Infallible>, handle: &Handle) {
    let mut heard = Heard::default();
    let mut pulse = never();
    loop {
        select! {
            recv(stopped) -> _ => return,
            recv(signals) -> at => match at.map(|at| heard.signal(at)) {
                Ok(Wish::Stop) => {
                    log::info!("stopping; another signal cuts what is not finished");
                    handle.shutdown();
                }
                Ok(Wish::StopNow) => {
                    log::warn!("stopping at once");
                    handle.shutdown_now();
                }
                Ok(Wish::Nothing) => continue,
                Err(_) => return,
            },
            recv(pulse) -> _ => {}
        }
        systemd::draining(&handle.progress());
        pulse = after(PULSE);
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
