//! The floor: what a server with epoll can't do without. Each thread waits for events, receives
//! what has come, and sends canned answers. It reads the first request of each kind to learn how
//! long one is and how it is answered, and afterwards only counts bytes: it is no server.

mod answer;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv,
    send, socket_with, sockopt,
};

use answer::Answer;

const EVENTS: usize = 512;
const BUFFER: usize = 256 * 1024;
const BACKLOG: i32 = 4096;

struct Floor {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// By the number of their sockets.
    connections: Vec<Option<Connection>>,
    /// One of each kind of request.
    known: Vec<Rc<Answer>>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    answer: Option<Rc<Answer>>,
    /// The first request, until it is known.
    first: Vec<u8>,
    /// Bytes of requests that have come and are not answered.
    received: usize,
    /// Bytes of answers that are to be sent, and where in an answer they start.
    owed: usize,
    offset: usize,
    /// Whether it is watched for room to send.
    is_full: bool,
}

/// What is to become of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    Stays,
    Ends,
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let threads: Vec<_> = (0..threads)
        .map(|_| thread::spawn(move || Floor::new(address)?.run()))
        .collect();
    for thread in threads {
        let outcome: io::Result<()> = thread.join().expect("no thread panics");
        outcome.expect("the port is free");
    }
}

impl Floor {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&listener, true)?;
        sockopt::set_socket_reuseport(&listener, true)?;
        // What is accepted inherits it.
        sockopt::set_tcp_nodelay(&listener, true)?;
        bind(&listener, &address)?;
        listen(&listener, BACKLOG)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, data(&listener), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            connections: Vec::new(),
            known: Vec::new(),
            buffer: vec![0; BUFFER],
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Err(Errno::INTR) => continue,
                outcome => outcome?,
            };
            for event in &events {
                let socket = event.data.u64() as usize;
                if socket == self.listener.as_raw_fd() as usize {
                    self.accept()?;
                } else if self.drive(socket, event.flags) == Fate::Ends {
                    self.connections[socket] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.listener, flags) {
            epoll::add(&self.epoll, &socket, data(&socket), EventFlags::IN)?;
            let place = socket.as_raw_fd() as usize;
            if self.connections.len() <= place {
                self.connections.resize_with(place + 64, || None);
            }
            self.connections[place] = Some(Connection::new(socket));
        }
        Ok(())
    }

    fn drive(&mut self, socket: usize, flags: EventFlags) -> Fate {
        let Some(connection) = &mut self.connections[socket] else {
            return Fate::Stays;
        };
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            match recv(&connection.socket, &mut *self.buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Fate::Ends,
                Ok((count, _)) => connection.count(&self.buffer[..count], &mut self.known),
                Err(Errno::AGAIN) => {}
                Err(_) => return Fate::Ends,
            }
        }
        if connection.send().is_err() {
            return Fate::Ends;
        }
        let is_full = connection.owed > 0;
        if is_full != connection.is_full {
            connection.is_full = is_full;
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, is_full);
            let socket = &connection.socket;
            if epoll::modify(&self.epoll, socket, data(socket), flags).is_err() {
                return Fate::Ends;
            }
        }
        connection.fate()
    }
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            answer: None,
            first: Vec::new(),
            received: 0,
            owed: 0,
            offset: 0,
            is_full: false,
        }
    }

    /// Takes note of what has come.
    fn count(&mut self, bytes: &[u8], known: &mut Vec<Rc<Answer>>) {
        self.received += bytes.len();
        if self.answer.is_none() {
            self.learn(bytes, known);
        }
        if let Some(answer) = &self.answer {
            self.owed += self.received / answer.request * answer.length;
            self.received %= answer.request;
        }
    }

    fn learn(&mut self, bytes: &[u8], known: &mut Vec<Rc<Answer>>) {
        let first = if self.first.is_empty() {
            bytes
        } else {
            self.first.extend_from_slice(bytes);
            &self.first
        };
        if let Some(answer) = known.iter().find(|known| first.starts_with(&known.head)) {
            self.answer = Some(Rc::clone(answer));
        } else if let Some(answer) = Answer::to(first) {
            let answer = Rc::new(answer);
            known.push(Rc::clone(&answer));
            self.answer = Some(answer);
        } else if self.first.is_empty() {
            self.first = bytes.to_vec();
        }
    }

    /// Sends what the client takes.
    fn send(&mut self) -> Result<(), Errno> {
        let Some(answer) = &self.answer else {
            return Ok(());
        };
        while self.owed > 0 {
            let end = answer.repeated.len().min(self.offset + self.owed);
            let part = &answer.repeated[self.offset..end];
            match send(&self.socket, part, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    self.owed -= count;
                    self.offset = (self.offset + count) % answer.length;
                }
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn fate(&self) -> Fate {
        match &self.answer {
            Some(answer) if answer.is_last && self.owed == 0 && self.received == 0 => Fate::Ends,
            _ => Fate::Stays,
        }
    }
}

fn data(socket: &OwnedFd) -> EventData {
    EventData::new_u64(socket.as_raw_fd() as u64)
}
