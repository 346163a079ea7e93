//! The floor: the minimum work of a server with epoll. Each thread waits for events, receives
//! bytes, and sends canned responses. It parses the first request of each kind to learn its length
//! and its response; afterwards it only counts bytes. It is not a real server.

mod response;

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

use response::Response;

const EVENTS: usize = 512;
const BUFFER: usize = 256 * 1024;
const BACKLOG: i32 = 4096;

struct Floor {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// Indexed by descriptor.
    connections: Vec<Option<Connection>>,
    /// One for each kind of request.
    known: Vec<Rc<Response>>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: OwnedFd,
    response: Option<Rc<Response>>,
    /// The first request, until its kind is known.
    first: Vec<u8>,
    /// Bytes of requests that were received and have no response yet.
    received: usize,
    /// Bytes of responses to send, and their offset in a response.
    owed: usize,
    offset: usize,
    /// Whether it is registered for output.
    is_full: bool,
}

/// The next step of a connection.
#[derive(PartialEq, Eq)]
enum Next {
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
        // Accepted sockets inherit it.
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
                } else if self.drive(socket, event.flags) == Next::Ends {
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

    fn drive(&mut self, socket: usize, flags: EventFlags) -> Next {
        let Some(connection) = &mut self.connections[socket] else {
            return Next::Stays;
        };
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            match recv(&connection.socket, &mut *self.buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Next::Ends,
                Ok((count, _)) => connection.count(&self.buffer[..count], &mut self.known),
                Err(Errno::AGAIN) => {}
                Err(_) => return Next::Ends,
            }
        }
        if connection.send().is_err() {
            return Next::Ends;
        }
        let is_full = connection.owed > 0;
        if is_full != connection.is_full {
            connection.is_full = is_full;
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, is_full);
            let socket = &connection.socket;
            if epoll::modify(&self.epoll, socket, data(socket), flags).is_err() {
                return Next::Ends;
            }
        }
        connection.next()
    }
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            response: None,
            first: Vec::new(),
            received: 0,
            owed: 0,
            offset: 0,
            is_full: false,
        }
    }

    /// Counts the received bytes.
    fn count(&mut self, bytes: &[u8], known: &mut Vec<Rc<Response>>) {
        self.received += bytes.len();
        if self.response.is_none() {
            self.learn(bytes, known);
        }
        if let Some(response) = &self.response {
            self.owed += self.received / response.request * response.length;
            self.received %= response.request;
        }
    }

    fn learn(&mut self, bytes: &[u8], known: &mut Vec<Rc<Response>>) {
        let first = if self.first.is_empty() {
            bytes
        } else {
            self.first.extend_from_slice(bytes);
            &self.first
        };
        if let Some(response) = known.iter().find(|known| first.starts_with(&known.head)) {
            self.response = Some(Rc::clone(response));
        } else if let Some(response) = Response::to(first) {
            let response = Rc::new(response);
            known.push(Rc::clone(&response));
            self.response = Some(response);
        } else if self.first.is_empty() {
            self.first = bytes.to_vec();
        }
    }

    /// Sends as much as the client takes.
    fn send(&mut self) -> Result<(), Errno> {
        let Some(response) = &self.response else {
            return Ok(());
        };
        while self.owed > 0 {
            let end = response.repeated.len().min(self.offset + self.owed);
            let part = &response.repeated[self.offset..end];
            match send(&self.socket, part, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    self.owed -= count;
                    self.offset = (self.offset + count) % response.length;
                }
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn next(&self) -> Next {
        match &self.response {
            Some(response) if response.is_last && self.owed == 0 && self.received == 0 => {
                Next::Ends
            }
            _ => Next::Stays,
        }
    }
}

fn data(socket: &OwnedFd) -> EventData {
    EventData::new_u64(socket.as_raw_fd() as u64)
}
