//! A client of these tests takes no end for one unless the server says goodbye first
//! (`close_notify`), so each `expect_closed` is about that too.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;

use crossbeam_channel::bounded;
use httpool::http::header::UPGRADE;
use httpool::{
    Body, ClientCertificates, Handler, Intake, IntoResponse, Origin, Request, Response, Stream,
    Tls, Upgrade,
};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use crate::support::tls::{Authority, NAME, Secure, bind, der};
use crate::support::{
    BoundServer, Client, End, Gate, HUGE, NEVER, OwnFolder, OwnPath, PATIENCE, Random, SOON,
    TestServer, eventually, mirror, request, tell,
};

/// Says what a handler sees of TLS.
fn name(request: Request) -> String {
    let origin = Origin::of(&request).expect("it came over a connection");
    let tls = origin.tls().expect("it came over TLS");
    format!(
        "{} {} {} {} {}",
        origin.scheme().expect("nobody is in between"),
        tls.version(),
        tls.server_name().unwrap_or("-"),
        String::from_utf8_lossy(tls.alpn().unwrap_or(b"-")),
        tls.peer_certificates().len()
    )
}

/// How many connections have ended for this reason.
fn ended(server: &TestServer, why: &str) -> u64 {
    let mut endings = server.handle().endings();
    let ending = endings.find(|(name, _)| *name == why);
    ending.expect("there is such a reason").1
}

#[track_caller]
fn expect_ended(server: &TestServer, why: &str, times: u64) {
    eventually(&format!("{times} connections have ended {why}"), || {
        ended(server, why) == times
    });
}

/// The bytes with which a client begins.
fn first_flight(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = NAME.try_into().expect("it is a name");
    let client = ClientConnection::new(Arc::clone(config), name);
    let mut bytes = Vec::new();
    let written = client.expect("it is right").write_tls(&mut bytes);
    written.expect("memory takes everything");
    bytes
}

/// The record that these bytes come to, which is not sent.
#[track_caller]
fn record(client: &mut Client, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut record = Vec::new();
    let (tls, bytes) = (client.tls(), bytes.as_ref());
    tls.writer().write_all(bytes).expect("it has room");
    let written = tls.write_tls(&mut record);
    written.expect("memory takes everything");
    record
}

/// Sends bytes as they are.
#[track_caller]
fn send_raw(client: &mut Client, bytes: &[u8]) {
    let sent = client.socket().write_all(bytes);
    sent.expect("the server takes the bytes");
}

#[test]
fn requests_over_tls_are_answered_as_all_others() {
    let authority = Authority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(tell);
    for version in [&TLS12, &TLS13] {
        let config = authority.client_with(&[version], None);
        let mut client = server.connect().with_tls(&config, NAME);
        client.get("/one").expect_answer("GET /one ");
        client.post("/two", "body").expect_answer("POST /two body");
        client.send(request::post_chunked("/three", "in chunks", 2));
        client.expect_answer("POST /three in chunks");
        client.send(request::get("/pipelined").repeat(50));
        for _ in 0..50 {
            client.expect_answer("GET /pipelined ");
        }
        client.get_and_close("/last").expect_answer("GET /last ");
        client.expect_closed();
    }
}

#[test]
fn a_handler_sees_what_was_agreed_on() {
    let authority = Authority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(name);
    for (version, expected) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let config = authority.client_with(&[version], None);
        let mut client = server.connect().with_tls(&config, NAME);
        for _ in 0..2 {
            let expected = format!("https {expected} {NAME} http/1.1 0");
            client.get("/").expect_answer(expected);
        }
    }
}

#[test]
fn large_bodies_arrive_whole_in_both_directions() {
    let secure = Secure::spawn(|builder| builder, mirror);
    let body = Random::new(7).bytes(5 * 1024 * 1024 + 13);
    let mut client = secure.connect();
    for _ in 0..2 {
        client.post("/", &body).expect_answer(&body);
    }
    client.send(request::post_chunked("/", &body, 100_000));
    client.expect_answer(&body);
}

/// Reads bodies while they come and gives them back, or speaks another protocol that does.
struct Patient;

impl Handler for Patient {
    fn handle(&self, request: &mut Request) -> Response {
        if request.headers().contains_key(UPGRADE) {
            return Upgrade::new("echo", |mut stream: Stream| {
                let mut part = [0; 1000];
                while let Ok(count @ 1..) = stream.read(&mut part) {
                    stream.write_all(&part[..count]).expect("it is taken");
                }
            })
            .into_response();
        }
        let mut content = Vec::new();
        let read = request.body_mut().read_to_end(&mut content);
        read.map(|_| content).into_response()
    }

    fn intake(&self, _: &Request) -> Intake {
        Intake::STREAM
    }
}

#[test]
fn bodies_are_read_while_they_come_and_other_protocols_spoken() {
    let secure = Secure::spawn(|builder| builder, Patient);
    let body = Random::new(11).bytes(2 * 1024 * 1024 + 13);
    let mut client = secure.connect();
    client.post("/", &body).expect_answer(&body);
    client.send(request::post_chunked("/", &body, 100_000));
    client.expect_answer(&body);
    client.send(request::post_head("/", 5)).send("later");
    client.expect_answer("later");
    client.send("GET / HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly");
    client.expect_status(101);
    assert_eq!(client.expect_part(5), b"early");
    for part in body.chunks(50_000).take(10) {
        client.send(part);
        assert!(client.expect_part(part.len()) == part);
    }
    client.finish_sending().expect_closed();
    secure.server.expect_open(0);
}

#[test]
fn files_arrive_as_they_are() {
    let folder = OwnFolder::new();
    let mut random = Random::new(9);
    let contents = [0, 1, 40_000, 3_000_001].map(|size| random.bytes(size));
    for content in &contents {
        folder.file(&content.len().to_string(), content);
    }
    folder.sparse("huge", HUGE as u64);
    let secure = Secure::spawn(
        |builder| builder.workers(1),
        move |request: Request| {
            let name = request.uri().path().trim_start_matches('/');
            File::open(folder.path(name)).expect("tests ask for what is there")
        },
    );
    let mut slow = secure.connect();
    slow.get("/huge").expect_part(100);
    let mut client = secure.connect();
    for content in contents.iter().chain(contents.iter().rev()) {
        let target = format!("/{}", content.len());
        client.get(&target).expect_answer(content);
    }
    slow.get("/1");
    let rest = slow.expect_part(HUGE);
    assert!(
        rest.ends_with(&[0; 1000]),
        "it is what comes behind the head"
    );
}

#[test]
fn a_slow_reader_holds_no_worker_and_gets_every_byte() {
    let secure = Secure::spawn(
        |builder| builder.workers(1),
        |request: Request| match request.uri().path() {
            "/huge" => vec![b'x'; HUGE],
            _ => b"small".to_vec(),
        },
    );
    let mut slow = secure.connect();
    slow.get("/huge").expect_part(100);
    let mut quick = secure.connect();
    quick.get("/").expect_answer("small");
    slow.get("/");
    let rest = slow.expect_part(HUGE);
    assert!(rest.ends_with(b"xxx"), "it is what comes behind the head");
    quick.get_and_close("/").expect_answer("small");
}

#[test]
fn a_reader_that_is_too_slow_is_cut_and_not_told_that_it_has_all() {
    let secure = Secure::spawn(
        |builder| builder.write_timeout(SOON),
        |_: Request| vec![b'x'; HUGE],
    );
    let mut client = secure.connect();
    client.get("/").expect_part(100);
    expect_ended(&secure.server, "slow_reader", 1);
    let mut rest = Vec::new();
    let (tls, socket) = client.tls_and_socket();
    let end = rustls::Stream::new(tls, socket).read_to_end(&mut rest);
    assert!(end.is_err(), "{} bytes pass for the whole", rest.len());
    assert!(rest.len() < HUGE, "something was cut");
}

#[test]
fn what_tls_keeps_of_an_answer_counts_against_the_budget() {
    let body = bytes::Bytes::from(vec![b'x'; HUGE]);
    let secure = Secure::spawn(|builder| builder, move |_: Request| body.clone());
    let mut client = secure.connect();
    client.get("/").expect_part(100);
    // The bytes are the handler's, but encrypted they are this client's alone.
    eventually("a part is kept", || {
        let kept = secure.server.handle().progress().buffered;
        (1..=64 * 1024).contains(&kept)
    });
    drop(client);
    eventually("nothing is kept", || {
        secure.server.handle().progress().buffered == 0
    });
}

#[test]
fn stalled_handshakes_hold_no_worker() {
    let secure = Secure::spawn(|builder| builder.workers(1).handshake_timeout(NEVER), tell);
    let hello = first_flight(&secure.config);
    let mut stalled: Vec<Client> = (0..20).map(|_| secure.server.connect()).collect();
    for (index, client) in stalled.iter_mut().enumerate() {
        // From nothing to all of it.
        client.send(&hello[..hello.len() * index / 19]);
    }
    let mut good = secure.connect();
    good.get("/").expect_answer("GET / ");
    secure.server.expect_open(21);
    good.get_and_close("/").expect_answer("GET / ");
}

#[test]
fn a_handshake_that_waits_too_long_for_a_worker_is_given_up() {
    let gate = Gate::new();
    let door = gate.door();
    let secure = Secure::spawn(
        |builder| builder.workers(1).shed_after(SOON).handshake_timeout(NEVER),
        move |_: Request| {
            door.pass();
            "at last"
        },
    );
    let mut busy = secure.connect();
    busy.get("/");
    gate.expect_arrived(1);
    let mut late = secure.server.connect();
    late.send(first_flight(&secure.config));
    assert_eq!(late.read_rest().0, b"");
    expect_ended(&secure.server, "handshake_failed", 1);
    gate.open();
    busy.expect_answer("at last");
}

#[test]
fn a_handshake_has_its_deadline() {
    let authority = Authority::new();
    let hello = first_flight(&authority.client());
    for (sent, why) in [
        (&hello[..0], "idle"),
        (&hello[..1], "handshake_failed"),
        (&hello[..hello.len() - 1], "handshake_failed"),
        (&hello[..], "handshake_failed"),
    ] {
        let server = bind(authority.issue(&[NAME]).tls(), |builder| {
            builder.handshake_timeout(SOON).head_timeout(NEVER)
        });
        let mut client = server.connect();
        client.send(sent);
        let server = server.run(tell);
        client.read_rest();
        expect_ended(&server, why, 1);
    }
}

#[test]
fn after_the_handshake_the_time_of_the_head_begins() {
    let secure = Secure::spawn(
        |builder| builder.handshake_timeout(NEVER).head_timeout(SOON),
        tell,
    );
    let mut silent = secure.connect();
    silent.try_shake_hands().expect("the server takes part");
    silent.expect_closed();
    let mut slow = secure.connect();
    slow.send("GET / HT").expect_status(408);
    slow.finish_sending().expect_closed();
}

#[test]
fn a_handshake_may_be_cut_anywhere() {
    let secure = Secure::spawn(|builder| builder, tell);
    let mut random = Random::new(3);
    for round in 0..20 {
        let most = if round == 0 { 1 } else { 200 };
        let mut client = secure.connect();
        client
            .tls()
            .writer()
            .write_all(&request::post("/", "body"))
            .expect("it has room");
        while client.tls().is_handshaking() || client.tls().wants_write() {
            let mut flight = Vec::new();
            while client.tls().wants_write() {
                let written = client.tls().write_tls(&mut flight);
                written.expect("memory takes everything");
            }
            let mut rest = &flight[..];
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(rest.len().min(1 + random.below(most)));
                client
                    .socket()
                    .write_all(part)
                    .expect("the server takes the bytes");
                rest = behind;
            }
            if client.tls().is_handshaking() {
                let (tls, socket) = client.tls_and_socket();
                tls.read_tls(socket).expect("the server answers");
                tls.process_new_packets().expect("the server makes sense");
            }
        }
        client.expect_answer("POST / body");
    }
}

#[test]
fn a_request_in_the_clear_is_told_to_use_https() {
    let secure = Secure::spawn(|builder| builder, tell);
    for sent in [
        request::get("/"),
        b"G".to_vec(),
        request::post("/", vec![b'x'; 1_000_000]),
    ] {
        let mut client = secure.server.connect();
        // The server may end it before all is sent.
        let _ = client.try_send(sent);
        let response = client.expect_status(400);
        assert!(response.says_close());
        assert_eq!(
            response.field("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert!(response.text().contains("https://"), "{}", response.text());
        client.finish_sending().expect_closed();
    }
    expect_ended(&secure.server, "answered", 3);
}

#[test]
fn nonsense_ends_its_own_connection_alone() {
    let secure = Secure::spawn(|builder| builder.workers(1), tell);
    let hello = first_flight(&secure.config);
    let mut random = Random::new(11);
    for _ in 0..50 {
        let mut damaged = hello.clone();
        for _ in 0..=random.below(8) {
            let at = 1 + random.below(damaged.len() - 1);
            damaged[at] ^= 1 << random.below(8);
        }
        let noise = random.bytes(500);
        let mut client = secure.server.connect();
        let _ = client.try_send([&damaged[..], &noise].concat());
        let _ = client.try_finish_sending();
        client.read_rest();
    }
    secure.server.expect_open(0);
    secure.connect().get_and_close("/").expect_answer("GET / ");
}

#[test]
fn a_damaged_record_ends_the_connection_and_no_handler_sees_it() {
    let secure = Secure::spawn(|builder| builder, tell);
    let mut client = secure.connect();
    client.get("/").expect_answer("GET / ");
    let mut damaged = record(&mut client, request::get("/damaged"));
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    send_raw(&mut client, &damaged);
    let mut buffer = [0; 100];
    let (tls, socket) = client.tls_and_socket();
    let answer = rustls::Stream::new(tls, socket).read(&mut buffer);
    let error = answer.expect_err("there is no answer");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    expect_ended(&secure.server, "failed", 1);
    assert_eq!(secure.server.handle().progress().answered, 1);
}

#[test]
fn a_client_that_has_finished_sending_is_answered() {
    let secure = Secure::spawn(|builder| builder, tell);
    for _ in 0..2 {
        // It says so, and its connection ends in this direction.
        let mut client = secure.connect();
        client.get("/one").get("/two").finish_sending();
        client.expect_answer("GET /one ");
        client.expect_answer("GET /two ");
        client.expect_closed();

        // It only says so.
        let mut client = secure.connect();
        client.get("/one").expect_answer("GET /one ");
        client
            .tls()
            .writer()
            .write_all(&request::get("/two"))
            .expect("it has room");
        client.tls().send_close_notify();
        let (tls, socket) = client.tls_and_socket();
        tls.write_tls(socket).expect("the server takes the bytes");
        client.expect_answer("GET /two ");
        client.expect_closed();

        // Its connection ends, and it has not said so.
        let mut client = secure.connect();
        client.get("/one");
        let ended = client.socket().shutdown(Shutdown::Write);
        ended.expect("the connection is there");
        client.expect_answer("GET /one ");
        client.expect_closed();
    }
}

#[test]
fn a_body_that_is_cut_off_is_none() {
    let secure = Secure::spawn(|builder| builder, tell);
    let mut client = secure.connect();
    client.send([&request::post_head("/", 10)[..], b"half"].concat());
    let ended = client.socket().shutdown(Shutdown::Write);
    ended.expect("the connection is there");
    expect_ended(&secure.server, "client_left", 1);
    assert_eq!(secure.server.handle().progress().answered, 0);
}

#[test]
fn idle_connections_are_told_when_they_end() {
    let secure = Secure::spawn(|builder| builder.idle_timeout(SOON), tell);
    let mut client = secure.connect();
    client.get("/").expect_answer("GET / ");
    client.expect_closed();
    expect_ended(&secure.server, "idle", 1);
}

#[test]
fn with_the_first_byte_of_its_record_a_request_has_begun() {
    for count in [1, 5, 6, 30] {
        let secure = Secure::spawn(|builder| builder.head_timeout(SOON), tell);
        let mut late = secure.connect();
        late.get("/").expect_answer("GET / ");
        let begun = record(&mut late, request::get("/late"));
        send_raw(&mut late, &begun[..count]);
        assert!(late.expect_status(408).says_close());

        let secure = Secure::spawn(|builder| builder, tell);
        let [mut slow, mut cut] = [(); 2].map(|()| secure.connect());
        for client in [&mut slow, &mut cut] {
            client.get("/").expect_answer("GET / ");
        }
        let begun = record(&mut slow, request::get("/slow"));
        send_raw(&mut slow, &begun[..count]);
        let never = record(&mut cut, request::get("/never"));
        send_raw(&mut cut, &never[..count]);
        secure.server.begin_drain();
        send_raw(&mut slow, &begun[count..]);
        assert!(slow.expect_answer("GET /slow ").says_close());
        secure.server.handle().shutdown_now();
        let report = secure.server.expect_end();
        assert_eq!((report.answered, report.cut), (3, 1), "{count} bytes");
    }
}

#[test]
fn an_answer_in_a_drain_is_not_the_last_before_a_request_that_has_begun() {
    let gate = Gate::new();
    let door = gate.door();
    let secure = Secure::spawn(
        |builder| builder,
        move |_: Request| {
            door.pass();
            "done"
        },
    );
    let mut client = secure.connect();
    client.try_shake_hands().expect("the server takes part");
    let one = record(&mut client, request::get("/one"));
    let next = record(&mut client, request::get("/two"));
    send_raw(&mut client, &[&one, &next[..20]].concat());
    gate.expect_arrived(1);
    secure.server.begin_drain();
    gate.open();
    assert!(!client.expect_answer("done").says_close());
    send_raw(&mut client, &next[20..]);
    assert!(client.expect_answer("done").says_close());
    client.finish_sending().expect_closed();
    assert_eq!(secure.server.expect_end().cut, 0);
}

#[test]
fn the_end_behind_what_brings_no_content_is_seen() {
    let secure = Secure::spawn(|builder| builder, tell);
    for (whole, why) in [(false, "client_left"), (true, "client_done")] {
        let mut client = secure.connect();
        client.get("/").expect_answer("GET / ");
        let sent = if whole {
            client.tls().refresh_traffic_keys().expect("it is TLS 1.3");
            record(&mut client, "")
        } else {
            let mut begun = record(&mut client, request::get("/"));
            begun.truncate(20);
            begun
        };
        send_raw(&mut client, &sent);
        let ended = client.socket().shutdown(Shutdown::Write);
        ended.expect("the connection is there");
        expect_ended(&secure.server, why, 1);
    }
}

/// A server that upgrades everyone, and a client that has heard of it.
#[track_caller]
fn upgraded(serve: impl Fn(Stream) + Clone + Send + Sync + 'static) -> (Secure, Client) {
    let secure = Secure::spawn(
        |builder| builder,
        move |_: Request| Upgrade::new("x", serve.clone()),
    );
    let mut client = secure.connect();
    client.send("GET / HTTP/1.1\r\nHost: it\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.expect_status(101);
    (secure, client)
}

#[test]
fn a_write_that_took_too_long_takes_nothing_from_the_next() {
    let gate = Gate::new();
    let door = gate.door();
    let (_secure, mut client) = upgraded(move |mut stream: Stream| {
        stream.set_write_timeout(Some(SOON));
        let late = stream.write_all(&vec![b'x'; HUGE]);
        assert_eq!(
            late.map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock)
        );
        door.pass();
        stream.set_write_timeout(None);
        assert_eq!(stream.write(b"goodbye").expect("the client reads"), 7);
        stream.finish().expect("the client reads");
    });
    gate.expect_arrived(1);
    gate.open();
    let mut rest = Vec::new();
    let (tls, socket) = client.tls_and_socket();
    let end = rustls::Stream::new(tls, socket).read_to_end(&mut rest);
    end.expect("the end is announced");
    let content = rest.strip_suffix(b"goodbye").expect("it comes last");
    assert!(
        content.iter().all(|byte| *byte == b'x'),
        "nothing else came"
    );
}

#[test]
fn a_stream_that_is_dropped_in_a_write_does_not_say_that_this_was_all() {
    let (secure, mut client) = upgraded(|mut stream: Stream| {
        stream.set_write_timeout(Some(SOON));
        let late = stream.write_all(&vec![b'x'; HUGE]);
        late.expect_err("the client does not read");
    });
    secure.server.expect_open(0);
    let mut rest = Vec::new();
    let (tls, socket) = client.tls_and_socket();
    let end = rustls::Stream::new(tls, socket).read_to_end(&mut rest);
    end.expect_err("it was not all");
}

#[test]
fn a_stream_without_its_goodbye_has_no_end() {
    for announced in [true, false] {
        let (tell, told) = bounded(1);
        let (_secure, mut client) = upgraded(move |mut stream: Stream| {
            let end = stream.read_to_end(&mut Vec::new());
            tell.send(end.map_err(|error| error.kind()))
                .expect("the test waits");
        });
        client.send("content");
        if announced {
            client.finish_sending();
        } else {
            let ended = client.socket().shutdown(Shutdown::Write);
            ended.expect("the connection is there");
        }
        let expected = if announced {
            Ok(7)
        } else {
            Err(ErrorKind::UnexpectedEof)
        };
        assert_eq!(told.recv_timeout(PATIENCE), Ok(expected));
    }
}

#[test]
fn damage_behind_the_last_answer_is_thrown_away_like_everything() {
    let secure = Secure::spawn(|builder| builder, tell);
    let mut client = secure.connect();
    client.send("nonsense\r\n\r\n").expect_status(400);
    client.expect_closed();
    let mut damaged = record(&mut client, "more");
    damaged[8] ^= 1;
    send_raw(&mut client, &damaged);
    let ended = client.socket().shutdown(Shutdown::Write);
    ended.expect("the connection is there");
    expect_ended(&secure.server, "answered", 1);
}

#[test]
fn new_keys_are_no_request() {
    let secure = Secure::spawn(|builder| builder.idle_timeout(SOON), tell);
    let mut client = secure.connect();
    client.get("/").expect_answer("GET / ");
    client.tls().refresh_traffic_keys().expect("it is TLS 1.3");
    let keys = record(&mut client, "");
    send_raw(&mut client, &keys);
    client.expect_closed();
    expect_ended(&secure.server, "idle", 1);
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| builder).run(name);
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let config = authority.client_with(&[version], None);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = server.connect().with_tls(&config, NAME);
            let expected = format!("https {name} {NAME} http/1.1 0");
            client.get("/").expect_answer(expected);
            assert_eq!(client.tls().handshake_kind(), Some(kind), "{name}");
        }
    }
}

#[test]
fn keys_may_be_changed_on_the_way() {
    let secure = Secure::spawn(|builder| builder, tell);
    let mut client = secure.connect();
    client.get("/").expect_answer("GET / ");
    for _ in 0..3 {
        client.tls().refresh_traffic_keys().expect("it is TLS 1.3");
        client.get("/new").expect_answer("GET /new ");
    }
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let authority = Authority::new();
    let (first, second) = (
        authority.issue(&[NAME, "second.example"]),
        authority.issue(&["other.example", "*.wild.example"]),
    );
    let tls = Tls::builder()
        .certificate_pem(&*first.certificate, &*first.key)
        .certificate_pem(&*second.certificate, &*second.key)
        .build();
    let server = bind(tls.expect("they fit"), |builder| builder).run(name);
    for (asked, expected) in [
        (NAME, Some(&first)),
        ("second.example", Some(&first)),
        ("other.example", Some(&second)),
        ("any.wild.example", Some(&second)),
        ("unknown.example", None),
        ("127.0.0.1", None),
    ] {
        let mut client = server.connect().with_tls(&authority.client(), asked);
        let shaken = client.try_shake_hands();
        let Some(expected) = expected else {
            let error = shaken.expect_err("nobody has this name");
            assert!(error.to_string().contains("not valid for name"), "{error}");
            continue;
        };
        shaken.expect("somebody has this name");
        let shown = client.tls().peer_certificates().expect("it is shown");
        assert_eq!(shown[0], der(&expected.certificate), "{asked}");
        client
            .get("/")
            .expect_answer(format!("https TLSv1.3 {asked} http/1.1 0"));
    }
}

#[test]
fn clients_may_have_to_show_a_certificate() {
    let (authority, staff, others) = (Authority::new(), Authority::new(), Authority::new());
    let issued = authority.issue(&[NAME]);
    let serve = |policy| {
        let tls = Tls::builder()
            .certificate_pem(&*issued.certificate, &*issued.key)
            .client_authorities_pem(staff.certificate())
            .client_certificates(policy)
            .build();
        bind(tls.expect("they fit"), |builder| builder).run(|request: Request| {
            let origin = Origin::of(&request).expect("it came over a connection");
            let tls = origin.tls().expect("it came over TLS");
            tls.peer_certificates()
                .first()
                .map_or_else(Vec::new, |one| one.to_vec())
        })
    };
    let (required, optional) = (
        serve(ClientCertificates::Required),
        serve(ClientCertificates::Optional),
    );
    let (ours, theirs) = (staff.issue(&["somebody"]), others.issue(&["somebody"]));
    for version in [&TLS12, &TLS13] {
        for (own, let_in) in [(None, false), (Some(&ours), true), (Some(&theirs), false)] {
            let config = authority.client_with(&[version], own);
            for server in [&required, &optional] {
                let is_optional = std::ptr::eq(server, &optional);
                // The second time the session is resumed.
                for _ in 0..2 {
                    let mut client = server.connect().with_tls(&config, NAME);
                    if let_in || (own.is_none() && is_optional) {
                        let shown = own.map_or_else(Vec::new, |own| der(&own.certificate).to_vec());
                        client.get("/").expect_answer(shown);
                        continue;
                    }
                    // A client of TLS 1.3 learns of it after its own part is done.
                    let sent = client.try_send(request::get("/"));
                    let mut buffer = [0; 100];
                    let (tls, socket) = client.tls_and_socket();
                    let mut stream = rustls::Stream::new(tls, socket);
                    let end = sent.and_then(|()| stream.read(&mut buffer));
                    let error = end.expect_err("it is not let in").to_string();
                    assert!(error.contains("received fatal alert"), "{error}");
                }
            }
        }
    }
    expect_ended(&required, "handshake_failed", 8);
    expect_ended(&optional, "handshake_failed", 4);
}

#[test]
fn certificates_are_read_again_and_open_connections_stay() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(&[NAME]), authority.issue(&[NAME]));
    let files = old.files("reloaded");
    let builder = Tls::builder().certificate_files(files.certificate.as_ref(), files.key.as_ref());
    let tls = builder.build().expect("they fit");
    let server = bind(tls.clone(), |builder| builder).run(tell);
    let shown = || {
        let mut client = server.connect().with_tls(&authority.client(), NAME);
        client.try_shake_hands().expect("the server takes part");
        client.tls().peer_certificates().expect("it is shown")[0].clone()
    };
    let mut open = server.connect().with_tls(&authority.client(), NAME);
    open.get("/").expect_answer("GET / ");

    std::fs::write(&files.key, &new.key).expect("the folder is writable");
    let error = tls.reload().expect_err("they do not fit");
    assert_eq!(error.file(), Some(files.key.as_ref()));
    assert_eq!(shown(), der(&old.certificate));

    files.write(&new);
    tls.reload().expect("they fit again");
    assert_eq!(shown(), der(&new.certificate));
    open.get("/still").expect_answer("GET /still ");
    open.tls().refresh_traffic_keys().expect("it is TLS 1.3");
    open.get_and_close("/still").expect_answer("GET /still ");
}

/// It is the file that fails, and not the socket, though both are asked at once.
#[test]
fn a_file_that_can_not_be_read_resets_its_connection() {
    let folder = OwnFolder::new();
    folder.file("file", [7; 100_000]);
    let secure = Secure::spawn(
        |builder| builder,
        move |_: Request| {
            let file = File::options().write(true).open(folder.path("file"));
            Body::from_file(file.expect("it may be written"), 0..100_000)
        },
    );
    let mut client = secure.connect();
    client.get("/");
    assert_eq!(client.read_rest().1, End::Reset);
    expect_ended(&secure.server, "broken", 1);
}

#[test]
fn what_is_wrong_with_files_is_one_line_that_names_the_file() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&[NAME]), authority.issue(&[NAME]));
    let files = one.files("wrong");
    #[track_caller]
    fn check(certificate: &OwnPath, key: &OwnPath, wrong: &OwnPath, part: &str) {
        let builder = Tls::builder().certificate_files(certificate.as_ref(), key.as_ref());
        let error = builder.build().expect_err("something is wrong");
        assert_eq!(error.file(), Some(wrong.as_ref()));
        let expected = format!("{}: {part}", wrong.as_ref().display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    let (empty, missing, broken) = (
        OwnPath::new("empty.pem"),
        OwnPath::new("missing.pem"),
        OwnPath::new("broken.pem"),
    );
    std::fs::write(&empty, "").expect("the folder is writable");
    let text = one.certificate.replacen('M', "\u{1}", 1);
    std::fs::write(&broken, text).expect("the folder is writable");
    let (certificate, key) = (&files.certificate, &files.key);
    check(&empty, key, &empty, "there is no certificate");
    check(key, key, key, "there is no certificate");
    check(certificate, &empty, &empty, "there is no private key");
    check(
        certificate,
        certificate,
        certificate,
        "there is no private key",
    );
    check(&missing, key, &missing, "No such file");
    check(certificate, &missing, &missing, "No such file");
    check(&broken, key, &broken, "it is not well-formed PEM");
    std::fs::write(key, &other.key).expect("the folder is writable");
    check(
        certificate,
        key,
        key,
        "the key is not that of the certificate",
    );
    assert!(Tls::builder().build().is_err(), "there is no certificate");
}

#[test]
fn a_drain_finishes_what_is_under_way_over_tls() {
    let gate = Gate::new();
    let door = gate.door();
    let secure = Secure::spawn(
        |builder| builder,
        move |request: Request| {
            if request.uri().path() == "/gate" {
                door.pass();
                return vec![b'x'; HUGE];
            }
            b"quick".to_vec()
        },
    );
    let (mut idle, mut silent) = (secure.connect(), secure.server.connect());
    idle.get("/").expect_answer("quick");
    let mut busy = secure.connect();
    busy.get("/gate");
    gate.expect_arrived(1);
    secure.server.expect_open(3);
    secure.server.begin_drain();
    idle.expect_closed();
    silent.expect_closed();
    gate.open();
    let response = busy.expect_status(200);
    assert!(response.body == vec![b'x'; HUGE], "every byte is there");
    assert!(response.says_close());
    busy.finish_sending().expect_closed();
    let report = secure.server.expect_end();
    assert_eq!((report.answered, report.cut), (2, 0));
}

#[test]
fn a_request_behind_its_handshake_is_answered_in_a_drain() {
    let authority = Authority::new();
    let server = bind(authority.issue(&[NAME]).tls(), |builder| {
        builder.drain_idle(NEVER)
    });
    let mut client = server.connect().with_tls(&authority.client(), NAME);
    let handle = server.handle();
    let hello = first_flight(&authority.client());
    let mut stalled = server.connect();
    stalled.send(&hello[..hello.len() / 2]);
    let server = server.run(tell);
    server.expect_open(2);
    server.begin_drain();
    client.get("/late");
    assert!(client.expect_answer("GET /late ").says_close());
    client.expect_closed();
    // Whoever does not go on is cut, and there is no request that would be lost by that.
    handle.shutdown_now();
    assert_eq!(server.expect_end().cut, 0);
}

#[test]
fn a_config_of_ones_own_is_taken_as_it_is() {
    let authority = Authority::new();
    let issued = authority.issue(&[NAME]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::pem::PemObject::from_pem_slice(issued.key.as_bytes());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .expect("the provider knows it")
        .with_no_client_auth()
        .with_single_cert(vec![der(&issued.certificate)], key.expect("it is a key"));
    let server = bind(config.expect("they fit").into(), |builder| builder).run(name);
    let mut client = server.connect().with_tls(&authority.client(), NAME);
    client
        .get("/")
        .expect_answer(format!("https TLSv1.2 {NAME} - 0"));
}

#[test]
fn nobody_is_offered_early_data() {
    let authority = Authority::new();
    let issued = authority.issue(&[NAME]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::pem::PemObject::from_pem_slice(issued.key.as_bytes());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("the provider knows it")
        .with_no_client_auth()
        .with_single_cert(vec![der(&issued.certificate)], key.expect("it is a key"));
    let mut config = config.expect("they fit");
    config.max_early_data_size = 1000;
    let server = bind(config.into(), |builder| builder).run(tell);
    let mut config = (*authority.client()).clone();
    config.enable_early_data = true;
    let config = Arc::new(config);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut client = server.connect().with_tls(&config, NAME);
        assert!(client.tls().early_data().is_none(), "{kind:?}");
        client.get("/").expect_answer("GET / ");
        assert_eq!(client.tls().handshake_kind(), Some(kind));
    }
}

#[test]
fn one_server_listens_with_tls_and_without() {
    let authority = Authority::new();
    let tls = authority.issue(&[NAME]).tls();
    let server = BoundServer::new(|builder| {
        let address: httpool::ListenAddr = "127.0.0.1:0".parse().expect("an address");
        builder.listen_tls(address, tls)
    });
    let [plain, secure] = server
        .addresses()
        .to_vec()
        .try_into()
        .expect("two addresses");
    let _server = server.run(|request: Request| {
        let origin = Origin::of(&request).expect("it came over a connection");
        format!("{}", origin.tls().is_some())
    });
    Client::connect(&plain).get("/").expect_answer("false");
    let mut client = Client::connect(&secure).with_tls(&authority.client(), NAME);
    client.get("/").expect_answer("true");
}
