use std::collections::VecDeque;
use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use httpool::{
    BodyMode, Handler, IntoResponse, ListenAddr, Request, Response, Server, TrustedProxy, Upgrade,
};
use rustls::ClientConfig;

use crate::support::tls::{CertificateAuthority, NAME};
use crate::support::{BoundServer, Client, End, NEVER, Random, request};
use crate::upgrade::echo;

const ROUNDS: u64 = 40;

/// Concurrent clients.
const CLIENTS: usize = 12;

/// Larger than what sockets buffer of an unread response.
const LARGE: usize = 8 * 1024 * 1024;

/// How a client connects.
#[derive(Debug, Clone, Copy)]
enum Way {
    Plain,
    Proxied,
    TlsServer,
    /// TLS behind a PROXY protocol header.
    SecureProxied,
}

const WAYS: [Way; 4] = [Way::Plain, Way::Proxied, Way::TlsServer, Way::SecureProxied];

/// The PROXY protocol header.
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n";

/// What a client does.
#[derive(Debug, Clone, Copy)]
enum Errand {
    /// A request with a Content-Length body.
    Whole,
    Chunked,
    /// Several pipelined requests.
    Pipeline,
    /// Several requests on one connection, each after the response before.
    Kept,
    /// A request with `Expect: 100-continue`.
    Expecting,
    /// A request body that the handler streams.
    Streamed,
    /// A large response that the client reads slowly.
    Large,
    /// An upgrade to another protocol.
    Switched,
}

const ERRANDS: [Errand; 8] = [
    Errand::Whole,
    Errand::Chunked,
    Errand::Pipeline,
    Errand::Kept,
    Errand::Expecting,
    Errand::Streamed,
    Errand::Large,
    Errand::Switched,
];

/// The next step of a client. Everything that it waits for must arrive.
#[derive(Debug)]
enum Step {
    /// Starts the TLS handshake.
    Hello,
    /// Completes the TLS handshake.
    ShakeHands,
    Send(Vec<u8>),
    /// Expects `100 Continue`.
    Continue,
    /// Expects a response with this body.
    Answer(String),
    /// Reads a part of the large response.
    Part(usize),
    /// Reads the rest of the large response.
    Rest,
    /// Expects `101 Switching Protocols`.
    Switched,
    /// Expects these bytes in the new protocol.
    Bytes(String),
    /// Shuts down the sending side.
    Finish,
    /// Expects the end of the connection.
    Closed,
}

/// A client and its remaining steps.
#[derive(Debug)]
struct Visitor {
    client: Client,
    way: Way,
    errand: Errand,
    steps: VecDeque<Step>,
    /// Bytes received of the large response.
    taken: Vec<u8>,
    answered: u64,
}

/// Prints the client whose step failed, and the seed.
struct Told(u64, Way, Errand);

impl Drop for Told {
    fn drop(&mut self) {
        let Self(seed, way, errand) = self;
        if thread::panicking() {
            println!("seed {seed}: {way:?}, {errand:?}");
        }
    }
}

/// The server under test.
struct House {
    server: BoundServer,
    config: Arc<ClientConfig>,
}

/// Echoes bodies, sends a large response, and upgrades.
struct Everything {
    large: Bytes,
}

impl Handler for Everything {
    fn handle(&self, request: &mut Request) -> Response {
        match request.uri().path() {
            "/large" => self.large.clone().into_response(),
            "/lines" => {
                let serve = |stream| echo(stream).expect("the client stays to the end");
                Upgrade::new("line-echo", serve).into_response()
            }
            _ => gather(mem::take(request)).into_response(),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.uri().path() {
            "/streamed" => BodyMode::Streaming { most: u64::MAX },
            _ => BodyMode::Buffered,
        }
    }
}

fn gather(mut request: Request) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    request.body_mut().read_to_end(&mut content)?;
    Ok(content)
}

impl House {
    fn new(authority: &CertificateAuthority) -> Self {
        let address: ListenAddr = "127.0.0.1:0".parse().expect("it is an address");
        let proxy: TrustedProxy = "127.0.0.1".parse().expect("it is one");
        let tls = authority.issue(&[NAME]).tls();
        let builder = Server::builder()
            .listen(address.clone())
            .listen_proxy_protocol(address.clone())
            .listen_tls(address.clone(), tls.clone())
            .listen_tls_proxy_protocol(address, tls)
            .trusted_proxy(proxy)
            // A streamed body or an upgraded connection occupies a worker.
            .workers(CLIENTS + 1)
            .drain_idle(NEVER)
            .drain_timeout(NEVER);
        Self {
            server: BoundServer::from(builder.bind().expect("ports are free")),
            config: authority.client(),
        }
    }

    #[track_caller]
    fn visit(&self, random: &mut Random, number: usize) -> Visitor {
        let way = WAYS[random.below(WAYS.len())];
        let errand = ERRANDS[random.below(ERRANDS.len())];
        let [plain, proxied, secure, secure_proxied] = self.server.addresses() else {
            panic!("{:?} are four", self.server.addresses());
        };
        let client = match way {
            Way::Plain => Client::connect(plain),
            Way::Proxied => Client::connect(proxied),
            Way::TlsServer => Client::connect(secure).with_tls(&self.config, NAME),
            Way::SecureProxied => {
                let mut proxy = Client::connect(secure_proxied);
                proxy.send(HEADER);
                proxy.with_tls(&self.config, NAME)
            }
        };
        Visitor {
            client,
            way,
            errand,
            steps: steps(random, way, errand, number),
            taken: Vec::new(),
            answered: 0,
        }
    }
}

fn steps(random: &mut Random, way: Way, errand: Errand, number: usize) -> VecDeque<Step> {
    let mut text = |what: &str| format!("{what} {number} {}", "x".repeat(random.below(2000)));
    let bodies: [String; 4] = ["a", "b", "c", "d"].map(&mut text);
    let body = &bodies[0];
    let mut script = Script {
        random,
        steps: VecDeque::new(),
    };
    match way {
        Way::Plain => {}
        Way::Proxied => script.send(HEADER),
        Way::TlsServer | Way::SecureProxied => script.steps.extend([Step::Hello, Step::ShakeHands]),
    }
    match errand {
        Errand::Whole => script.call(&request::post("/", body), body),
        Errand::Chunked => script.call(&request::post_chunked("/", body, 100), body),
        Errand::Streamed => script.call(&request::post_chunked("/streamed", body, 100), body),
        Errand::Pipeline => {
            script.send_joined(&bodies.each_ref().map(|body| request::post("/", body)));
            script.steps.extend(bodies.map(Step::Answer));
        }
        Errand::Kept => {
            for body in &bodies {
                script.call(&request::post("/", body), body);
            }
        }
        Errand::Expecting => {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            script.send(head.as_bytes());
            script.steps.push_back(Step::Continue);
            script.call(body.as_bytes(), body);
        }
        Errand::Large => {
            script.send(&request::get_and_close("/large"));
            let parts = [(); 8].map(|()| Step::Part(script.random.below(LARGE / 8)));
            script.steps.extend(parts);
            script.steps.push_back(Step::Rest);
        }
        Errand::Switched => {
            script.send(
                b"GET /lines HTTP/1.1\r\nHost: it\r\nConnection: Upgrade\r\nUpgrade: line-echo\r\n\r\n",
            );
            script.steps.push_back(Step::Switched);
            for line in bodies {
                script.send(format!("{line}\n").as_bytes());
                script
                    .steps
                    .push_back(Step::Bytes(line.to_uppercase() + "\n"));
            }
            script.steps.extend([Step::Finish, Step::Closed]);
        }
    }
    script.steps
}

/// Builds the steps of a client.
struct Script<'r> {
    random: &'r mut Random,
    steps: VecDeque<Step>,
}

impl Script<'_> {
    fn call(&mut self, request: &[u8], answer: &str) {
        self.send(request);
        self.steps.push_back(Step::Answer(answer.to_owned()));
    }

    /// Sends the bytes in random pieces.
    fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + self.random.below(bytes.len()));
            self.steps.push_back(Step::Send(piece.to_vec()));
            bytes = rest;
        }
    }

    /// Sends the requests in pieces. Each piece but the last ends within a request, so that a
    /// complete request always has a part of the next one behind it.
    fn send_joined(&mut self, requests: &[Vec<u8>]) {
        let mut piece = Vec::new();
        for request in requests {
            let (start, rest) = request.split_at(1 + self.random.below(request.len() - 1));
            piece.extend_from_slice(start);
            self.steps.push_back(Step::Send(mem::take(&mut piece)));
            piece.extend_from_slice(rest);
        }
        self.steps.push_back(Step::Send(piece));
    }
}

impl Visitor {
    #[track_caller]
    fn take_step(&mut self, large: &Bytes) {
        let client = &mut self.client;
        match self.steps.pop_front().expect("there is one") {
            Step::Hello => {
                let (tls, socket) = client.tls_and_socket();
                tls.write_tls(socket).expect("the server takes it");
            }
            Step::ShakeHands => client.try_handshake().expect("it is let in"),
            Step::Send(bytes) => {
                client.send(bytes);
            }
            Step::Continue => {
                client.expect_status(100);
            }
            Step::Answer(body) => {
                let is_last = client.expect_body(body).announces_close();
                self.answered += 1;
                if is_last {
                    self.expect_to_be_done();
                }
            }
            Step::Part(count) => self.taken.extend(client.expect_bytes(count)),
            Step::Rest => {
                let (rest, end) = client.read_rest();
                self.taken.extend(rest);
                assert_eq!(end, End::Closed);
                assert!(self.taken.starts_with(b"HTTP/1.1 200 "));
                assert!(self.taken.ends_with(large), "the answer is whole");
                self.answered += 1;
            }
            Step::Switched => {
                client.expect_status(101);
                self.answered += 1;
            }
            Step::Bytes(expected) => {
                let bytes = client.expect_bytes(expected.len());
                assert_eq!(String::from_utf8_lossy(&bytes), expected);
            }
            Step::Finish => {
                client.finish_sending();
            }
            Step::Closed => client.expect_closed(),
        }
    }

    /// The server announced that this was the last response. Requests sent before must be answered;
    /// the client may send the others to another server.
    #[track_caller]
    fn expect_to_be_done(&mut self) {
        let has_sent_more = matches!(self.steps.front(), Some(Step::Answer(_)));
        assert!(!has_sent_more, "{} are not answered", self.steps.len());
        self.steps.clear();
        self.client.expect_closed();
    }
}

/// Random clients take their steps in an order that depends on the seed alone. At a random step the
/// server shuts down.
#[test]
fn shutdown_at_any_moment_loses_no_request() {
    let authority = CertificateAuthority::new();
    let large = Bytes::from(Random::new(0).bytes(LARGE));
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let house = House::new(&authority);
        let mut visitors: Vec<Visitor> = (0..CLIENTS)
            .map(|number| house.visit(&mut random, number))
            .collect();
        let server = house.server.run(Everything {
            large: large.clone(),
        });
        let all: usize = visitors.iter().map(|visitor| visitor.steps.len()).sum();
        let (stop_at, spins) = (random.below(all), random.below(100_000));
        let mut stopper = None;
        for step in 0.. {
            if step == stop_at {
                let handle = server.handle().clone();
                stopper = Some(thread::spawn(move || {
                    (0..spins).for_each(|_| std::hint::spin_loop());
                    handle.shutdown();
                }));
            }
            let is_busy = |visitor: &&mut Visitor| !visitor.steps.is_empty();
            let mut busy: Vec<_> = visitors.iter_mut().filter(is_busy).collect();
            if busy.is_empty() {
                break;
            }
            let visitor = busy.swap_remove(random.below(busy.len()));
            let _told = Told(seed, visitor.way, visitor.errand);
            visitor.take_step(&large);
        }
        let answered: u64 = visitors.iter().map(|visitor| visitor.answered).sum();
        drop(visitors);
        let stopper = stopper.expect("there were so many steps");
        stopper.join().expect("shutting down does not panic");
        let report = server.expect_end();
        assert_eq!(
            (report.answered, report.aborted),
            (answered, 0),
            "seed {seed}"
        );
    }
}
