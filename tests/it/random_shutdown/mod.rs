/// Clients of HTTP/2.
mod http2;

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

use crate::support::http2::Http2Client;
use crate::support::tls::{CertificateAuthority, NAME, for_http2};
use crate::support::{BoundServer, Client, End, NEVER, Random, request};
use crate::upgrade::echo;

const ROUNDS: u64 = 40;

/// Concurrent clients.
const CLIENTS: usize = 12;

/// Larger than what sockets buffer of an unread response.
const LARGE: usize = 8 * 1024 * 1024;

/// How a client connects.
#[derive(Debug, Clone, Copy)]
enum Access {
    Plain,
    Proxied,
    Tls,
    /// TLS behind a PROXY protocol header.
    TlsProxied,
}

const ACCESSES: [Access; 4] = [
    Access::Plain,
    Access::Proxied,
    Access::Tls,
    Access::TlsProxied,
];

/// The PROXY protocol header.
const PROXY_HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n";

/// What a client does.
#[derive(Debug, Clone, Copy)]
enum Scenario {
    /// A request with a Content-Length body.
    WithLength,
    Chunked,
    /// Several pipelined requests.
    Pipeline,
    /// Several requests on one connection, each after the response before.
    KeepAlive,
    /// A request with `Expect: 100-continue`.
    ExpectContinue,
    /// A request body that the handler streams.
    Streamed,
    /// A large response that the client reads slowly.
    Large,
    /// An upgrade to another protocol.
    Upgraded,
    /// Several requests of HTTP/2, each sent before the response to the one before.
    Http2Parallel,
    /// Several requests of HTTP/2, each after the response before.
    Http2KeepAlive,
    /// Request bodies in HTTP/2 that the handler streams.
    Http2Streamed,
    /// Large responses in HTTP/2.
    Http2Large,
}

const SCENARIOS: [Scenario; 12] = [
    Scenario::WithLength,
    Scenario::Chunked,
    Scenario::Pipeline,
    Scenario::KeepAlive,
    Scenario::ExpectContinue,
    Scenario::Streamed,
    Scenario::Large,
    Scenario::Upgraded,
    Scenario::Http2Parallel,
    Scenario::Http2KeepAlive,
    Scenario::Http2Streamed,
    Scenario::Http2Large,
];

impl Scenario {
    fn is_http2(self) -> bool {
        matches!(
            self,
            Self::Http2Parallel | Self::Http2KeepAlive | Self::Http2Streamed | Self::Http2Large
        )
    }
}

/// The next step of a client. Everything that it waits for must arrive.
#[derive(Debug)]
enum Step {
    /// Starts the TLS handshake.
    ClientHello,
    /// Completes the TLS handshake.
    Handshake,
    Send(Vec<u8>),
    /// Expects `100 Continue`.
    Continue,
    /// Expects a response with this body.
    Response(String),
    /// Reads a part of the large response.
    ReadPart(usize),
    /// Reads the rest of the large response.
    ReadRest,
    /// Expects `101 Switching Protocols`.
    Upgraded,
    /// Expects these bytes in the new protocol.
    Bytes(String),
    /// Shuts down the sending side.
    Finish,
    /// Expects the end of the connection.
    Closed,
    /// Expects a response with this body on a stream of HTTP/2, unless the server has said that it
    /// does not process the stream.
    StreamResponse(u32, String),
    /// Expects the large response on a stream.
    StreamLarge(u32),
    /// Reads this many frames, or until a stream has ended.
    ReadFrames(u32, usize),
}

/// A connection in one of the protocols.
#[derive(Debug)]
enum Link {
    Http1(Client),
    Http2(Box<Http2Client>),
}

impl Link {
    fn client(&mut self) -> &mut Client {
        match self {
            Self::Http1(client) => client,
            Self::Http2(client) => client.client(),
        }
    }

    #[track_caller]
    fn http2(&mut self) -> &mut Http2Client {
        match self {
            Self::Http1(_) => panic!("the client speaks HTTP/1.1"),
            Self::Http2(client) => client,
        }
    }
}

/// A client and its remaining steps.
#[derive(Debug)]
struct TestClient {
    link: Link,
    access: Access,
    scenario: Scenario,
    steps: VecDeque<Step>,
    /// Bytes received of the large response.
    taken: Vec<u8>,
    answered: u64,
}

/// Prints the client whose step failed, and the seed.
struct FailureNote(u64, Access, Scenario);

impl Drop for FailureNote {
    fn drop(&mut self) {
        let Self(seed, access, scenario) = self;
        if thread::panicking() {
            println!("seed {seed}: {access:?}, {scenario:?}");
        }
    }
}

/// The server under test.
struct TestBed {
    server: BoundServer,
    config: Arc<ClientConfig>,
}

/// Echoes bodies, sends a large response, and upgrades.
struct TestHandler {
    large: Bytes,
}

impl Handler for TestHandler {
    fn handle(&self, request: &mut Request) -> Response {
        match request.uri().path() {
            "/large" => self.large.clone().into_response(),
            "/lines" => {
                let serve = |stream| echo(stream).expect("the client stays connected");
                Upgrade::new("line-echo", serve).into_response()
            }
            _ => read_all(mem::take(request)).into_response(),
        }
    }

    fn body_mode(&self, request: &Request) -> BodyMode {
        match request.uri().path() {
            "/streamed" => BodyMode::Streaming { most: u64::MAX },
            _ => BodyMode::Buffered,
        }
    }
}

fn read_all(mut request: Request) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    request.body_mut().read_to_end(&mut content)?;
    Ok(content)
}

impl TestBed {
    fn new(authority: &CertificateAuthority) -> Self {
        let address: ListenAddr = "127.0.0.1:0".parse().expect("the address is valid");
        let proxy: TrustedProxy = "127.0.0.1".parse().expect("the proxy is valid");
        let tls = authority.issue(&[NAME]).tls();
        let builder = Server::builder()
            .listen(address.clone())
            .listen_proxy_protocol(address.clone())
            .listen_tls(address.clone(), tls.clone())
            .listen_tls_proxy_protocol(address, tls)
            .trusted_proxy(proxy)
            // A streamed body or an upgraded connection occupies a worker.
            .workers(CLIENTS + 1)
            .http2(true)
            .drain_idle(NEVER)
            .drain_timeout(NEVER);
        Self {
            server: BoundServer::from(builder.bind().expect("the ports are free")),
            config: authority.client(),
        }
    }

    #[track_caller]
    fn connect(&self, random: &mut Random, number: usize) -> TestClient {
        let access = ACCESSES[random.below(ACCESSES.len())];
        let scenario = SCENARIOS[random.below(SCENARIOS.len())];
        let [plain, proxied, tls, tls_proxied] = self.server.addresses() else {
            panic!("{:?}", self.server.addresses());
        };
        let config = match scenario.is_http2() {
            true => for_http2(&self.config),
            false => Arc::clone(&self.config),
        };
        let client = match access {
            Access::Plain => Client::connect(plain),
            Access::Proxied => Client::connect(proxied),
            Access::Tls => Client::connect(tls).with_tls(&config, NAME),
            Access::TlsProxied => {
                let mut proxy = Client::connect(tls_proxied);
                proxy.send(PROXY_HEADER);
                proxy.with_tls(&config, NAME)
            }
        };
        let link = match scenario.is_http2() {
            true => Link::Http2(Box::new(Http2Client::silent_over(client, &[]))),
            false => Link::Http1(client),
        };
        TestClient {
            link,
            access,
            scenario,
            steps: steps(random, access, scenario, number),
            taken: Vec::new(),
            answered: 0,
        }
    }
}

fn steps(random: &mut Random, access: Access, scenario: Scenario, number: usize) -> VecDeque<Step> {
    let mut text = |name: &str| format!("{name} {number} {}", "x".repeat(random.below(2000)));
    let bodies: [String; 4] = ["a", "b", "c", "d"].map(&mut text);
    let body = &bodies[0];
    let mut script = Script {
        random,
        steps: VecDeque::new(),
    };
    match access {
        Access::Plain => {}
        Access::Proxied => script.send(PROXY_HEADER),
        Access::Tls | Access::TlsProxied => {
            script.steps.extend([Step::ClientHello, Step::Handshake]);
        }
    }
    match scenario {
        Scenario::WithLength => script.call(&request::post("/", body), body),
        Scenario::Chunked => script.call(&request::post_chunked("/", body, 100), body),
        Scenario::Streamed => script.call(&request::post_chunked("/streamed", body, 100), body),
        Scenario::Pipeline => {
            script.send_joined(&bodies.each_ref().map(|body| request::post("/", body)));
            script.steps.extend(bodies.map(Step::Response));
        }
        Scenario::KeepAlive => {
            for body in &bodies {
                script.call(&request::post("/", body), body);
            }
        }
        Scenario::ExpectContinue => {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: it\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            script.send(head.as_bytes());
            script.steps.push_back(Step::Continue);
            script.call(body.as_bytes(), body);
        }
        Scenario::Large => {
            script.send(&request::get_and_close("/large"));
            let parts = [(); 8].map(|()| Step::ReadPart(script.random.below(LARGE / 8)));
            script.steps.extend(parts);
            script.steps.push_back(Step::ReadRest);
        }
        Scenario::Upgraded => {
            script.send(
                b"GET /lines HTTP/1.1\r\nHost: it\r\nConnection: Upgrade\r\nUpgrade: line-echo\r\n\r\n",
            );
            script.steps.push_back(Step::Upgraded);
            for line in bodies {
                script.send(format!("{line}\n").as_bytes());
                script
                    .steps
                    .push_back(Step::Bytes(line.to_uppercase() + "\n"));
            }
            script.steps.extend([Step::Finish, Step::Closed]);
        }
        _ => script.http2(scenario, bodies),
    }
    script.steps
}

/// Builds the steps of a client.
struct Script<'r> {
    random: &'r mut Random,
    steps: VecDeque<Step>,
}

impl Script<'_> {
    fn call(&mut self, request: &[u8], response: &str) {
        self.send(request);
        self.steps.push_back(Step::Response(response.to_owned()));
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

impl TestClient {
    #[track_caller]
    fn take_step(&mut self, large: &Bytes) {
        if let Link::Http2(_) = self.link {
            return self.take_http2_step(large);
        }
        let client = self.link.client();
        match self.steps.pop_front().expect("a step is left") {
            Step::ClientHello => {
                let (tls, socket) = client.tls_and_socket();
                tls.write_tls(socket).expect("the ClientHello is sent");
            }
            Step::Handshake => client.try_handshake().expect("the TLS handshake succeeds"),
            Step::Send(bytes) => {
                client.send(bytes);
            }
            Step::Continue => {
                client.expect_status(100);
            }
            Step::Response(body) => {
                let announces_close = client.expect_body(body).announces_close();
                self.answered += 1;
                if announces_close {
                    self.expect_closed_after_last();
                }
            }
            Step::ReadPart(count) => self.taken.extend(client.expect_bytes(count)),
            Step::ReadRest => {
                let (rest, end) = client.read_rest();
                self.taken.extend(rest);
                assert_eq!(end, End::Closed);
                assert!(self.taken.starts_with(b"HTTP/1.1 200 "));
                assert!(self.taken.ends_with(large), "the response is complete");
                self.answered += 1;
            }
            Step::Upgraded => {
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
            step => panic!("{step:?} is for HTTP/2"),
        }
    }

    /// The server announced that this was the last response. Requests sent before must be answered;
    /// the client may send the others to another server.
    #[track_caller]
    fn expect_closed_after_last(&mut self) {
        let has_sent_more = matches!(self.steps.front(), Some(Step::Response(_)));
        assert!(
            !has_sent_more,
            "{} requests got no response",
            self.steps.len()
        );
        self.steps.clear();
        self.link.client().expect_closed();
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
        let test_bed = TestBed::new(&authority);
        let mut clients: Vec<TestClient> = (0..CLIENTS)
            .map(|number| test_bed.connect(&mut random, number))
            .collect();
        let server = test_bed.server.run(TestHandler {
            large: large.clone(),
        });
        let all: usize = clients.iter().map(|client| client.steps.len()).sum();
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
            let is_busy = |client: &&mut TestClient| !client.steps.is_empty();
            let mut busy: Vec<_> = clients.iter_mut().filter(is_busy).collect();
            if busy.is_empty() {
                break;
            }
            let client = busy.swap_remove(random.below(busy.len()));
            let _note = FailureNote(seed, client.access, client.scenario);
            client.take_step(&large);
        }
        let answered: u64 = clients.iter().map(|client| client.answered).sum();
        drop(clients);
        let stopper = stopper.expect("the shutdown was started");
        stopper.join().expect("shutting down does not panic");
        let report = server.expect_end();
        assert_eq!(
            (report.answered, report.aborted),
            (answered, 0),
            "seed {seed}"
        );
    }
}
