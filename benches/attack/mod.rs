//! Slow and greedy clients: thousands of connections on one thread.
//!
//! Each attacker acts once a beat, by its script: it sends a little or as much as the server takes,
//! and receives everything, little or nothing. An attacker whose connection has ended reconnects as
//! long as the attack lasts. Their segments are as small as those of a network, so that the
//! kernel's buffers do not hold what the server would have to buffer.

mod good_clients;
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

pub(crate) use good_clients::{ConnectionUse, GoodClients, GoodResults, request_once};
pub(crate) use script::AttackKind;
use script::{Reading, Script};

use crate::http2::{self, FrameReader};

/// Parts of a beat. In each of them a part of the attackers acts.
const SLICES: usize = 100;

/// The payload of one Ethernet frame.
const SEGMENT: u32 = 1460;

/// The receive buffer of attackers that do not read.
const SMALL_WINDOW: usize = 4 * 1024;

/// The send buffer of attackers: a flood must wait in the server's buffers, not here.
const SEND_ROOM: usize = 16 * 1024;

/// Beats for which an attacker continues after the server has finished sending.
const FINISH_BEATS: u32 = 1;

/// The attackers of one attack.
pub(crate) struct Attack {
    stage: Arc<AtomicU8>,
    thread: JoinHandle<Record>,
}

/// The stages of an attack: attackers whose connection ended reconnect; attackers stay; all leave.
const COMING: u8 = 0;
const STAYING: u8 = 1;
const LEAVING: u8 = 2;

/// The result of an attack.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The start of the last connection.
    pub(crate) last: Option<Instant>,
    /// The first status of each connection, and how those of HTTP/2 and their streams end.
    pub(crate) ends: BTreeMap<String, u64>,
    /// Processor time that the attackers used.
    pub(crate) cpu: Duration,
}

struct Attacker {
    kind: AttackKind,
    script: Arc<Script>,
    line: Option<Line>,
}

/// One attacker's connection.
struct Line {
    socket: Socket,
    beats: u32,
    sent: usize,
    received: Received,
    /// The beat in which it saw that the server has finished sending.
    finished_at: Option<u32>,
}

/// What is known of the server's bytes.
enum Received {
    /// The start of the first response.
    Http1(Vec<u8>),
    Http2(FrameReader),
}

impl Attack {
    /// Starts one attacker for each of these scripts. `beat` is the time between two actions.
    pub(crate) fn begin(address: SocketAddr, kinds: &[AttackKind], beat: Duration) -> Self {
        // Some scripts are long, so each is made once.
        let mut scripts = BTreeMap::new();
        for kind in kinds {
            let script = || Arc::new(kind.script());
            scripts.entry(*kind).or_insert_with(script);
        }
        let attackers: Vec<_> = kinds
            .iter()
            .map(|kind| Attacker {
                kind: *kind,
                script: Arc::clone(&scripts[kind]),
                line: None,
            })
            .collect();
        let stage = Arc::new(AtomicU8::new(COMING));
        let shared_stage = Arc::clone(&stage);
        Self {
            stage,
            thread: thread::spawn(move || attack(attackers, address, beat, &shared_stage)),
        }
    }

    /// Stops reconnecting.
    pub(crate) fn stop_coming(&self) {
        self.stage.store(STAYING, Ordering::Relaxed);
    }

    /// Ends the attack.
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
        // A late attacker does not make up for more than one beat.
        due = (due + beat / SLICES as u32).max(Instant::now() - beat);
        let stage = stage.load(Ordering::Relaxed);
        if stage == LEAVING {
            break;
        }
        for attacker in attackers.iter_mut().skip(slice).step_by(SLICES) {
            if attacker.line.is_none() && stage == COMING {
                record.last = Some(Instant::now());
                // Retries if no port is free.
                attacker.line = attacker.connect(address).ok();
            }
            attacker.act(&mut buffer, &mut record);
        }
    }
    let used = clock_gettime(ClockId::ThreadCPUTime);
    record.cpu = used.try_into().expect("time is not negative");
    record
}

impl Attacker {
    fn connect(&self, address: SocketAddr) -> io::Result<Line> {
        let received = match self.kind.is_http2() {
            true => Received::Http2(FrameReader::default()),
            false => Received::Http1(Vec::new()),
        };
        Line::connect(address, &self.script, received)
    }

    fn act(&mut self, buffer: &mut [u8], record: &mut Record) {
        let (Some(line), script) = (&mut self.line, &self.script) else {
            return;
        };
        let sent = line.send(script);
        let received = line.receive(script, buffer, record);
        line.beats += 1;
        let is_done = line
            .finished_at
            .is_some_and(|finished| line.beats > finished + FINISH_BEATS)
            || script.beats.is_some_and(|beats| line.beats >= beats);
        if is_done {
            // A reset, because an orderly close would keep the port for a minute.
            let _ = line.socket.set_linger(Some(Duration::ZERO));
        }
        if is_done || sent.is_err() || received.is_err() {
            self.line = None;
        }
    }
}

impl Line {
    fn connect(address: SocketAddr, script: &Script, received: Received) -> io::Result<Self> {
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
            received,
            finished_at: None,
        })
    }

    /// Sends the rest of the start, or the bytes of one beat.
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
                self.finished_at.get_or_insert(self.beats);
            }
            Ok(count) => self.note(&buffer[..count], record),
            Err(error) => forgive(error)?,
        }
        Ok(())
    }

    fn note(&mut self, bytes: &[u8], record: &mut Record) {
        let response = match &mut self.received {
            Received::Http1(response) => response,
            Received::Http2(reader) => {
                return reader.read(bytes, |frame| http2::count(&mut record.ends, frame));
            }
        };
        const STATUS: usize = "HTTP/1.1 200".len();
        let missing = STATUS - response.len();
        if missing == 0 {
            return;
        }
        let taken = bytes.len().min(missing);
        response.extend_from_slice(&bytes[..taken]);
        if taken == missing {
            let status = String::from_utf8_lossy(&response[9..]).into_owned();
            *record.ends.entry(status).or_default() += 1;
        }
    }
}

/// Ignores errors that mean "not now".
fn forgive(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}
