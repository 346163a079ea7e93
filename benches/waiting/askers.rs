//! Many clients that ask for delayed responses, on one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::serving::{Serving, send_request};

/// The longest wait for any response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait for a response while there is something else to do.
const SHORT: Duration = Duration::from_millis(1);

/// What the thread of the clients shares with another one.
#[derive(Default)]
pub(crate) struct Shared {
    /// No client asks again.
    is_over: AtomicBool,
    /// Responses so far.
    pub(crate) responses: AtomicUsize,
}

/// Clients ask until this is dropped, by a panic too: otherwise the panic would wait for them.
pub(crate) struct Asking<'a>(&'a Shared);

/// Connected clients.
pub(crate) struct Askers {
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// Clients without their response.
    waiting: usize,
    /// The target of a request for a response after this delay.
    target: fn(Duration) -> String,
}

struct Client {
    stream: TcpStream,
    /// When the response is due.
    due: Option<Instant>,
}

/// A response.
struct Response {
    client: usize,
    late: Duration,
}

impl Shared {
    pub(crate) fn until_dropped(&self) -> Asking<'_> {
        Asking(self)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Askers {
    /// Connects this many clients, each of which has had a response.
    pub(crate) fn connect(server: &Serving, count: usize) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor is free");
        let clients = (0..count).map(|index| {
            let mut stream = server.connect();
            send_request(&mut stream);
            stream.set_nonblocking(true).expect("sockets have the mode");
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)
                .expect("a socket can be watched");
            Client { stream, due: None }
        });
        let clients = clients.collect();
        Self {
            epoll,
            clients,
            waiting: 0,
            target: |delay| format!("/later?{}", delay.as_millis()),
        }
    }

    /// Lets the clients ask for another resource.
    pub(crate) fn with_target(self, target: fn(Duration) -> String) -> Self {
        Self { target, ..self }
    }

    /// Lets every client ask for a response after this delay.
    pub(crate) fn ask_all(&mut self, delay: Duration) {
        for index in 0..self.clients.len() {
            self.ask(index, delay);
        }
    }

    /// Waits until every client has its response. Returns how late the responses were.
    pub(crate) fn receive_all(&mut self) -> Vec<Duration> {
        let mut late = Vec::new();
        while self.waiting > 0 {
            let received = self.receive(TIMEOUT);
            assert!(
                !received.is_empty(),
                "{} responses are missing",
                self.waiting
            );
            late.extend(received.into_iter().map(|response| response.late));
        }
        late
    }

    /// Lets every client ask, spread over the delay, and again when it has its response. Returns how
    /// late the responses were.
    pub(crate) fn ask_again_and_again(
        &mut self,
        delay: Duration,
        shared: &Shared,
    ) -> Vec<Duration> {
        let (began, mut asked, mut late) = (Instant::now(), 0, Vec::new());
        let is_over = || shared.is_over.load(Ordering::Relaxed);
        while !is_over() || self.waiting > 0 {
            let due = self.count_due(began.elapsed(), delay);
            for index in asked..due {
                self.ask(index, delay);
            }
            asked = due;
            for response in self.receive(SHORT) {
                late.push(response.late);
                shared.responses.fetch_add(1, Ordering::Relaxed);
                if !is_over() {
                    self.ask(response.client, delay);
                }
            }
        }
        late
    }

    /// How many clients have to have asked after this time.
    fn count_due(&self, elapsed: Duration, delay: Duration) -> usize {
        let share = elapsed.as_secs_f64() / delay.as_secs_f64();
        (self.clients.len() as f64 * share.min(1.0)) as usize
    }

    fn ask(&mut self, index: usize, delay: Duration) {
        let client = &mut self.clients[index];
        let target = (self.target)(delay);
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        client.due = Some(Instant::now() + delay);
        let sent = client.stream.write_all(request.as_bytes());
        sent.expect("the server takes a request");
        self.waiting += 1;
    }

    /// Waits for some responses.
    fn receive(&mut self, timeout: Duration) -> Vec<Response> {
        let mut events = Vec::with_capacity(1024);
        let timeout = Timespec::try_from(timeout).expect("the time is short");
        let ready = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout));
        ready.expect("no signal comes");
        let clients = events.iter().map(|event| event.data.u64() as usize);
        let received: Vec<_> = clients.filter_map(|client| self.read(client)).collect();
        self.waiting -= received.len();
        received
    }

    fn read(&mut self, index: usize) -> Option<Response> {
        let client = &mut self.clients[index];
        let mut buffer = [0; 1024];
        let count = match client.stream.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("a connection failed: {error}"),
        };
        // The server sends the whole response with one call, and one call receives it.
        assert!(buffer[..count].starts_with(b"HTTP/1.1 200"));
        let due = client.due.take().expect("the client has asked");
        let now = Instant::now();
        assert!(now >= due, "a response came early");
        Some(Response {
            client: index,
            late: now - due,
        })
    }
}
