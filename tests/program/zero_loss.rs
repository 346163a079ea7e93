use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use httpool::ListenAddr;
use rustix::process::Signal;
use socket2::{SockFilter, SockRef};

use crate::support::{Client, End, Program, Random, SOON, eventually, request, unique_loopback};

/// Clients that ask at the same time.
const CLIENTS: usize = 64;

const DRAINS: usize = 50;

const RESTARTS: usize = 20;

/// Answers that show that a load is on.
const LOADED: usize = 300;

/// A client that asks again and again is never idle for so long, whatever else the machine does.
const PATIENT: [&str; 2] = ["--drain-idle", "10s"];

/// What clients see while servers come and go.
#[derive(Debug, Default)]
struct Load {
    answered: AtomicUsize,
    /// Connections that were reset before a byte of the answer came.
    reset: AtomicUsize,
    /// They are to stop.
    is_over: AtomicBool,
}

impl Load {
    /// Asks on one connection for as long as it is kept, and then on the next, until the load is
    /// over. Whether it was refused before.
    fn keep_requesting(&self, address: &ListenAddr) -> bool {
        while let Some(mut client) = connect(address) {
            // Only a connection that has just been made may be one that the server never saw.
            let mut is_new = true;
            loop {
                // What can't be sent shows in what comes.
                let _ = client.try_send(request::post("/", "kept"));
                if is_new && client.is_reset_early() {
                    self.reset.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                is_new = false;
                let closes = client.expect_body("kept").announces_close();
                self.answered.fetch_add(1, Ordering::Relaxed);
                if self.is_over() {
                    return false;
                }
                if closes {
                    client.expect_closed();
                    break;
                }
            }
        }
        true
    }

    /// The same on a connection for each request.
    fn keep_connecting(&self, address: &ListenAddr) -> bool {
        while let Some(mut client) = connect(address) {
            let _ = client.try_send(request::get_and_close("/"));
            if client.is_reset_early() {
                self.reset.fetch_add(1, Ordering::Relaxed);
            } else {
                client.expect_status(200);
                client.expect_closed();
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            if self.is_over() {
                return false;
            }
        }
        true
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn resets(&self) -> usize {
        self.reset.load(Ordering::Relaxed)
    }

    /// Waits until so many more requests are answered.
    #[track_caller]
    fn expect_responses(&self, more: usize) {
        let before = self.answered();
        eventually("the load is answered", || self.answered() >= before + more);
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// A client that panics must not leave the others behind.
struct Ends<'a>(&'a Load);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A connection, unless it is refused. Whoever finds a queue full is not answered, and tries again.
fn connect(address: &ListenAddr) -> Option<Client> {
    loop {
        match Client::try_connect_within(address, SOON) {
            Ok(client) => return Some(client),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
            Err(_) => {}
        }
    }
}

/// How many clients may be reset in so many drains. The system completes handshakes by itself. Where
/// it lets a program filter what comes to a listener, new ones are kept off while the others end.
/// Where not, it tells nobody of one that is under way when a listener closes: that client believes
/// that it is connected, and is reset. That happens to one of some thousands, and must not become
/// more.
fn most_resets(drains: usize) -> usize {
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the port is free");
    let all = SockFilter::new(0x06, 0, 0, u32::MAX);
    match SockRef::from(&listener).attach_filter(&[all]) {
        Ok(()) => 0,
        Err(error) => {
            println!("a listener can't be filtered here: {error}");
            drains
        }
    }
}

#[test]
fn drain_under_keep_alive_load_loses_nothing() {
    drain_under(Load::keep_requesting);
}

#[test]
fn drain_under_new_connections_answers_all_accepted() {
    drain_under(Load::keep_connecting);
}

/// Drains again and again while clients ask in this way.
fn drain_under(call: fn(&Load, &ListenAddr) -> bool) {
    let (mut answered, mut reset) = (0, 0);
    for _ in 0..DRAINS {
        let program = Program::spawn(&PATIENT);
        let load = Load::default();
        thread::scope(|scope| {
            let _ends = Ends(&load);
            let clients = [(); CLIENTS].map(|()| scope.spawn(|| call(&load, program.address())));
            load.expect_responses(LOADED);
            program.signal(Signal::TERM);
            for client in clients {
                let is_refused = client.join().expect("a client loses nothing");
                assert!(is_refused, "the port is released");
            }
        });
        program.expect_exit(0);
        answered += load.answered();
        reset += load.resets();
    }
    println!("{DRAINS} drains: {answered} answered, {reset} reset");
    let most = most_resets(DRAINS);
    assert!(reset <= most, "{reset} were reset, {answered} answered");
}

#[test]
fn drain_finishes_large_bodies_in_both_directions() {
    const SIZE: usize = 10 * 1024 * 1024;
    let body = Random::new(7).bytes(SIZE);
    let request = request::post("/", &body);
    for _ in 0..DRAINS {
        let program = Program::spawn(&["--max-body", "10MiB"]);
        let mut upload = program.connect();
        upload.send(&request[..SIZE / 2]);
        let mut download = program.connect();
        let asking = download.send_in_background(request.clone());
        download.expect_bytes(15);
        program.signal(Signal::TERM);
        program.expect_refused();
        let sending = upload.send_in_background(request[SIZE / 2..].to_vec());
        let answer = upload.expect_body(&body);
        assert!(answer.announces_close());
        upload.expect_closed();
        for sent in [sending, asking] {
            sent.join()
                .expect("sending does not panic")
                .expect("the whole request is taken");
        }
        let (rest, end) = download.read_rest();
        assert!(rest.ends_with(&body), "the answer is whole");
        assert_eq!(end, End::Closed);
        // Who does not close holds the drain for a second.
        drop((upload, download));
        program.expect_exit(0);
    }
}

#[test]
fn restarts_behind_a_passed_socket_lose_no_client() {
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the port is free");
    let address = listener.local_addr().expect("it is bound").into();
    let start = || Program::spawn_with_listener(&listener, &PATIENT);
    let load = replace_under_load(&address, |former| {
        if let Some(former) = former {
            stop(former);
        }
        start()
    });
    assert_eq!(load.resets(), 0, "clients were reset");
}

#[test]
fn servers_sharing_a_port_lose_no_client() {
    let shared = ["--reuse-port", PATIENT[0], PATIENT[1]];
    let mut first = Some(Program::spawn(&shared));
    let address = first.as_ref().expect("it is there").address().clone();
    let load = replace_under_load(&address, |former| {
        let Some(former) = former else {
            return first.take().expect("the first is asked for once");
        };
        let listen = address.to_string();
        let mut next = Program::start(&[&["--listen", &listen], &shared[..]].concat(), &[]);
        next.expect_line("listening on");
        stop(former);
        next
    });
    let (answered, reset) = (load.answered(), load.resets());
    println!("{RESTARTS} hand-overs: {answered} answered, {reset} reset");
    let most = most_resets(RESTARTS);
    assert!(reset <= most, "{reset} were reset, {answered} answered");
}

/// Has `replace` put one server in the place of another again and again, while clients ask; none of
/// them is refused.
fn replace_under_load(
    address: &ListenAddr,
    mut replace: impl FnMut(Option<Program>) -> Program,
) -> Load {
    let load = Load::default();
    let first = replace(None);
    let last = thread::scope(|scope| {
        let ends = Ends(&load);
        let clients: [_; CLIENTS] = std::array::from_fn(|number| {
            let call = match number % 2 {
                0 => Load::keep_requesting,
                _ => Load::keep_connecting,
            };
            let load = &load;
            scope.spawn(move || {
                assert!(!call(load, address), "nobody is refused");
            })
        });
        let last = (0..RESTARTS).fold(first, |former, _| {
            load.expect_responses(LOADED);
            replace(Some(former))
        });
        load.expect_responses(LOADED);
        drop(ends);
        for client in clients {
            client.join().expect("a client loses nothing");
        }
        last
    });
    stop(last);
    load
}

#[track_caller]
fn stop(program: Program) {
    program.signal(Signal::TERM);
    program.expect_exit(0);
}
