//! The floor for HTTP/2: the minimum work of a server with epoll. Each thread waits for events,
//! receives once, and sends once for everything that it has received. It reads the headers of
//! frames and nothing inside HEADERS: it has no HPACK and checks nothing, so it is not a real
//! server. It obeys the client's windows, acknowledges SETTINGS and PING, and gives back windows.

mod connection;
mod frame;
mod socket;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use peer_job::tls;
use peer_job::tls::rustls::ServerConfig;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with, sockopt,
};

use connection::{Broken, Connection};
use socket::Socket;

const EVENTS: usize = 512;
const BUFFER: usize = 256 * 1024;
const BACKLOG: i32 = 4096;

struct Floor {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// Indexed by descriptor.
    connections: Vec<Option<Client>>,
    buffer: Vec<u8>,
    job: Job,
}

#[derive(Clone)]
struct Job {
    address: SocketAddr,
    /// The size of the page.
    page: usize,
    tls: Option<Arc<ServerConfig>>,
}

struct Client {
    socket: Socket,
    connection: Connection,
    /// Whether it is registered for output.
    is_full: bool,
}

fn main() {
    let (address, threads) = peer_job::arguments();
    let (page, files) = peer_job::page_and_tls();
    let tls = files.map(|files| {
        let mut config = tls::config(files);
        // No client resumes a session.
        config.send_tls13_tickets = 0;
        Arc::new(config)
    });
    let page = page.len();
    let job = Job { address, page, tls };
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let job = job.clone();
            thread::spawn(move || Floor::new(job)?.run())
        })
        .collect();
    for thread in threads {
        let outcome: io::Result<()> = thread.join().expect("no thread panics");
        outcome.expect("the port is free");
    }
}

impl Floor {
    fn new(job: Job) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&listener, true)?;
        sockopt::set_socket_reuseport(&listener, true)?;
        // Accepted sockets inherit it.
        sockopt::set_tcp_nodelay(&listener, true)?;
        bind(&listener, &job.address)?;
        listen(&listener, BACKLOG)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, data(&listener), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            connections: Vec::new(),
            buffer: vec![0; BUFFER],
            job,
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
                } else if self.drive(socket, event.flags).is_err() {
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
            self.connections[place] = Some(Client {
                socket: Socket::new(socket, self.job.tls.as_ref()),
                connection: Connection::new(self.job.page),
                is_full: false,
            });
        }
        Ok(())
    }

    fn drive(&mut self, socket: usize, flags: EventFlags) -> Result<(), Broken> {
        let Some(client) = &mut self.connections[socket] else {
            return Ok(());
        };
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            let count = client.socket.receive(&mut self.buffer)?;
            client.connection.receive(&self.buffer[..count])?;
        }
        let is_full = !client.connection.send(&mut client.socket)?;
        if is_full != client.is_full {
            client.is_full = is_full;
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, is_full);
            let socket = &client.socket.descriptor;
            epoll::modify(&self.epoll, socket, data(socket), flags).map_err(|_| Broken)?;
        }
        Ok(())
    }
}

fn data(socket: &OwnedFd) -> EventData {
    EventData::new_u64(socket.as_raw_fd() as u64)
}
