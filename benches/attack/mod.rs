//! Clients that are slow or greedy: thousands of connections, all on one thread.
//!
//! Each attacker acts once a beat, by its script: it sends a little or as much as is taken, and
//! receives all, little or nothing. One whose connection has ended comes again, as long as the
//! attack goes on. Their segments are as small as those of a network, so that the system's own
//! buffers do not hold what the server would have to keep.

mod neighbour;
mod script;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Socket, Type};

pub(crate) use neighbour::{Experience, Habit, Neighbours, ask_anew};
pub(crate) use script::Manner;
use script::{Reading, Script};

/// Parts of a beat, in each of which a part of the attackers acts.
const SLICES: usize = 100;

/// What fits into one frame of an Ethernet.
const SEGMENT: u32 = 1460;

/// Room for what has come and was not read, of those who do not want to read.
const SMALL_WINDOW: usize = 4 * 1024;

/// Room for what the server has not taken: a flood is to wait in the server's buffers, not here.
const SEND_ROOM: usize = 16 * 1024;

/// Beats for which an attacker goes on that has been told of the end.
const DEAF: u32 = 1;

/// Attackers at work.
pub(crate) struct Attack {
    stage: Arc<AtomicU8>,
    thread: JoinHandle<Record>,
}

/// The stages of an attack: who is ended comes again; who is there stays; all leave.
const COMING: u8 = 0;
const STAYING: u8 = 1;
const LEAVING: u8 = 2;

/// What came of an attack.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// When the last connection was begun.
    pub(crate) last: Option<Instant>,
    /// The first status that each connection was answered.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Processor time that the attackers used.
    pub(crate) cpu: Duration,
}

struct Attacker {
    script: Arc<Script>,
    line: Option<Line>,
}

/// A connection.
struct Line {
    socket: Socket,
    beats: u32,
    sent: usize,
    /// How its first answer starts.
    answer: Vec<u8>,
    /// The beat in which it learnt that the server has finished sending.
    told: Option<u32>,
}

impl Attack {
    /// Lets loose one attacker of each of these manners. `beat` is the time between two acts.
    pub(crate) fn begin(address: SocketAddr, manners: &[Manner], beat: Duration) -> Self {
        let scripts: BTreeMap<_, _> = manners
            .iter()
            .map(|manner| (*manner, Arc::new(manner.script())))
            .collect();
        let attackers: Vec<_> = manners
            .iter()
            .map(|manner| Attacker {
                script: Arc::clone(&scripts[manner]),
                line: None,
            })
            .collect();
        let stage = Arc::new(AtomicU8::new(COMING));
        let told = Arc::clone(&stage);
        Self {
            stage,
            thread: thread::spawn(move || attack(attackers, address, beat, &told)),
        }
    }

    /// From now on nobody comes again.
    pub(crate) fn stop_coming(&self) {
        self.stage.store(STAYING, Ordering::Relaxed);
    }

    /// Ends it.
    pub(crate) fn leave(self) -> Record {
        self.stage.store(LEAVING, Ordering::Relaxed);
        self.thread.join().expect("attackers do not panic")
    }
}

fn attack(
    mut attackers: Vec<Attacker>,
    address: SocketAddr,
    beat: Duration,
    stage: &AtomicU8,
) -> Record {
    let mut record = Record::default();
    let mut buffer = vec![0; 64 * 1024];
    let mut due = Instant::now();
    for slice in (0..SLICES).cycle() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // Who is late does not make up for more than a beat.
        due = (due + beat / SLICES as u32).max(Instant::now() - beat);
        let stage = stage.load(Ordering::Relaxed);
        if stage == LEAVING {
            break;
        }
        for attacker in attackers.iter_mut().skip(slice).step_by(SLICES) {
            if attacker.line.is_none() && stage == COMING {
                record.last = Some(Instant::now());
                // Without a port it tries again.
                attacker.line = Line::connect(address, &attacker.script).ok();
            }
            attacker.act(&mut buffer, &mut record);
        }
    }
    let used = clock_gettime(ClockId::ThreadCPUTime);
    record.cpu = used.try_into().expect("time is not negative");
    record
}

impl Attacker {
    fn act(&mut self, buffer: &mut [u8], record: &mut Record) {
        let (Some(line), script) = (&mut self.line, &self.script) else {
            return;
        };
        let sent = line.send(script);
        let received = line.receive(script, buffer, record);
        line.beats += 1;
        let is_done = line.told.is_some_and(|told| line.beats > told + DEAF)
            || script.beats.is_some_and(|beats| line.beats >= beats);
        if is_done {
            // A reset: an orderly end would keep the port for a minute.
            let _ = line.socket.set_linger(Some(Duration::ZERO));
        }
        if is_done || sent.is_err() || received.is_err() {
            self.line = None;
        }
    }
}

impl Line {
    fn connect(address: SocketAddr, script: &Script) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_mss(SEGMENT)?;
        socket.set_send_buffer_size(SEND_ROOM)?;
        if script.reading != Reading::All {
            socket.set_recv_buffer_size(SMALL_WINDOW)?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            result => result?,
        }
        Ok(Self {
            socket,
            beats: 0,
            sent: 0,
            answer: Vec::new(),
            told: None,
        })
    }

    /// Sends what is left of the start, or a beat's share of what follows.
    fn send(&mut self, script: &Script) -> io::Result<()> {
        let mut share = script.share;
        loop {
            let start = script.start.get(self.sent..).unwrap_or_default();
            let bytes = if start.is_empty() {
                let at = (self.sent - script.start.len()) % script.more.len().max(1);
                let more = &script.more[at..];
                &more[..more.len().min(share)]
            } else {
                start
            };
            if bytes.is_empty() {
                return Ok(());
            }
            match (&self.socket).write(bytes) {
                Ok(count) => {
                    if start.is_empty() {
                        share -= count;
                    }
                    self.sent += count;
                }
                Err(error) => return forgive(error),
            }
        }
    }

    fn receive(
        &mut self,
        script: &Script,
        buffer: &mut [u8],
        record: &mut Record,
    ) -> io::Result<()> {
        let most = match script.reading {
            Reading::All => buffer.len(),
            Reading::Sips(bytes) => bytes,
            Reading::Nothing => return Ok(()),
        };
        match (&self.socket).read(&mut buffer[..most]) {
            Ok(0) => {
                self.told.get_or_insert(self.beats);
            }
            Ok(count) => self.note(&buffer[..count], record),
            Err(error) => forgive(error)?,
        }
        Ok(())
    }

    fn note(&mut self, received: &[u8], record: &mut Record) {
        const STATUS: usize = "HTTP/1.1 200".len();
        let missing = STATUS - self.answer.len();
        if missing == 0 {
            return;
        }
        let taken = received.len().min(missing);
        self.answer.extend_from_slice(&received[..taken]);
        if taken == missing {
            let status = std::str::from_utf8(&self.answer[9..]).ok();
            let status = status.and_then(|status| status.parse().ok());
            *record
                .statuses
                .entry(status.unwrap_or_default())
                .or_default() += 1;
        }
    }
}

/// Passes over errors that only mean "not now".
fn forgive(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}
