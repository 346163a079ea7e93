//! The good clients beside the attackers: they ask at a steady rate, and keep to every rule.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::serving::GET;

/// How many there are. Each is one of many to the server, and waits for its own answers only.
const CLIENTS: u32 = 10;

/// Between two requests of one of them.
const INTERVAL: Duration = Duration::from_millis(50);

/// Every so many requests one goes over a connection of its own.
const NEWCOMERS: u32 = 10;

/// How long they wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Good clients at work.
pub(crate) struct Neighbours {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Experience>>,
}

/// How good clients were served.
#[derive(Debug, Default)]
pub(crate) struct Experience {
    /// What requests took on connections that are kept.
    pub(crate) kept: Vec<Duration>,
    /// What requests took on connections of their own, with connecting.
    pub(crate) new: Vec<Duration>,
    /// Why requests failed.
    pub(crate) failures: Vec<io::Error>,
}

/// Whether they connect again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// They stay on their first connections.
    Stay,
    /// Some of their requests come over new ones.
    Return,
}

impl Neighbours {
    pub(crate) fn begin(address: SocketAddr, habit: Habit) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..CLIENTS).map(|number| {
            let mut kept = connect(address).expect("the server listens");
            ask(&mut kept).expect("the server answers");
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                thread::sleep(INTERVAL * number / CLIENTS);
                visit(address, kept, habit, &stop)
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    pub(crate) fn leave(self) -> Experience {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Experience::default();
        for thread in self.threads {
            let one = thread.join().expect("good clients do not panic");
            all.kept.extend(one.kept);
            all.new.extend(one.new);
            all.failures.extend(one.failures);
        }
        all
    }
}

/// Connects, asks once, and leaves.
pub(crate) fn ask_anew(address: SocketAddr) -> io::Result<()> {
    ask(&mut connect(address)?)
}

fn visit(address: SocketAddr, mut kept: TcpStream, habit: Habit, stop: &AtomicBool) -> Experience {
    let mut experience = Experience::default();
    let mut due = Instant::now();
    for number in 1.. {
        due += INTERVAL;
        let ahead = due.saturating_duration_since(Instant::now());
        thread::sleep(ahead);
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // A request that had to wait for the one before it has waited since it was due.
        let began = if ahead.is_zero() { due } else { Instant::now() };
        let (times, asked) = if habit == Habit::Return && number % NEWCOMERS == 0 {
            (&mut experience.new, ask_anew(address))
        } else {
            (&mut experience.kept, ask(&mut kept))
        };
        match asked {
            Ok(()) => times.push(began.elapsed()),
            Err(error) => {
                experience.failures.push(error);
                if let Ok(again) = connect(address) {
                    kept = again;
                }
            }
        }
    }
    experience
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(GET)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"\r\n\r\nHello, World!") {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::Error::other(answer.escape_ascii().to_string()))
}
