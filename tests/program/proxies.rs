//! The program behind proxies.

use std::net::TcpListener;

use crate::support::request::{PROXY_V1, PROXY_V2};
use crate::support::tls::{CertificateAuthority, NAME};
use crate::support::{Client, Program, address_in, request, run_program, unique_loopback};

/// One address block, as handlers see it and as the echo shows it.
#[test]
fn echo_shows_the_client() {
    let program = Program::spawn(&["--trusted-proxy", "127.0.0.0/8"]);
    let mut client = program.connect();
    let address = client.local_addr();
    let target = "GET /any?origin HTTP/1.1\r\nHost: it\r\n";
    client.send(format!("{target}\r\n")).expect_body(format!(
        "{{\"peer\":\"{address}\",\"client\":\"{address}\",\"scheme\":\"http\"}}\n"
    ));
    let headers = "X-Forwarded-For: ::1, [2001:db8::1]:80\r\nX-Forwarded-Proto: https\r\n";
    let response = client
        .send(format!("{target}{headers}\r\n"))
        .expect_body(format!(
            "{{\"peer\":\"{address}\",\"proxy\":\"{address}\",\
         \"client\":\"[2001:db8::1]:80\",\"scheme\":\"https\"}}\n"
        ));
    assert_eq!(response.header("content-type"), Some("application/json"));
    for target in ["/", "/?", "/?origins", "/origin"] {
        let page = "<h1>Welcome to my Server</h1>";
        client.get(target).expect_body(page);
    }
    client.post("/?origin", "body").expect_body("body");
}

#[test]
fn proxy_protocol_is_read_on_its_listeners_only() {
    let address = format!("{}:0", unique_loopback());
    let arguments = [
        "--listen-proxy-protocol",
        &address,
        "--trusted-proxy",
        "127.0.0.0/8",
    ];
    let mut program = Program::start(&arguments, &[]);
    let line = program.expect_line("listening on http://");
    assert!(!line.contains(" and "), "{line}");
    let mut proxy = Client::connect(&address_in(&line));
    proxy.send([PROXY_V2, &request::get("/?origin")].concat());
    let response = proxy.expect_status(200).body;
    let response = String::from_utf8_lossy(&response);
    assert!(
        response.contains("\"client\":\"192.0.2.1:4711\""),
        "{response}"
    );
}

#[test]
fn passed_socket_name_selects_proxy_protocol() {
    let trusting = ["--trusted-proxy", "127.0.0.0/8"];
    for (name, status) in [("proxied", 200), ("httpool.socket", 400)] {
        let listener = TcpListener::bind((unique_loopback(), 0)).expect("the address is free");
        let address = listener.local_addr().expect("the server listens").into();
        let _program = Program::spawn_with_named_listener(&listener, name, &trusting);
        let mut proxy = Client::connect(&address);
        proxy.send([PROXY_V1, &request::get("/")].concat());
        proxy.expect_status(status);
    }
}

#[test]
fn proxy_listener_requires_trusted_proxy_flag() {
    let exit = run_program(&["--listen-proxy-protocol", "127.0.0.1:0"], &[]);
    exit.expect_line(2, "--listen-proxy-protocol: needs a --trusted-proxy");
    let variables = [("HTTPOOL_TRUSTED_PROXY", "127.0.0.1")];
    let exit = run_program(
        &["--listen-proxy-protocol", "127.0.0.1:0", "--check"],
        &variables,
    );
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

#[test]
fn rejected_proxy_connections_are_logged() {
    let spawn = |trusted| {
        let listen = format!("{}:0", unique_loopback());
        let arguments = [
            "--listen-proxy-protocol",
            &listen,
            "--trusted-proxy",
            trusted,
        ];
        let mut program = Program::start(&arguments, &[]);
        program.expect_listening();
        program
    };
    let mut program = spawn("127.0.0.0/8");
    program.connect().send("GET / HTTP/1.1\r\n\r\n");
    let line = program.expect_line("no PROXY protocol header");
    assert!(line.contains("INFO") && line.contains("127."), "{line}");
    let mut program = spawn("192.0.2.1");
    program.connect().expect_closed();
    let line = program.expect_line("the peer is not a trusted proxy");
    assert!(line.contains("INFO") && line.contains("127."), "{line}");
}

#[test]
fn tls_behind_proxy_protocol_is_served() {
    let authority = CertificateAuthority::new();
    let files = authority.issue(&[NAME]).files("proxied");
    let pair = [
        "--tls-cert",
        files.certificate.text(),
        "--tls-key",
        files.key.text(),
    ];
    let trust = ["--trusted-proxy", "127.0.0.0/8"];
    let address = format!("{}:0", unique_loopback());
    let listen = ["--listen-tls-proxy-protocol", &*address];

    let all = [&listen[..], &pair, &trust].concat();
    let mut listening = Program::start(&all, &[]);
    let line = listening.expect_line("listening on https://");
    let listener = TcpListener::bind((unique_loopback(), 0)).expect("the address is free");
    let passed = listener.local_addr().expect("the listener is bound").into();
    let _inheriting =
        Program::spawn_with_named_listener(&listener, "tls-proxied", &[&pair[..], &trust].concat());
    for address in [address_in(&line), passed] {
        let mut proxy = Client::connect(&address);
        proxy.send(PROXY_V2);
        let mut client = proxy.with_tls(&authority.client(), NAME);
        let response = client.get("/?origin").expect_status(200).text();
        assert!(
            response.contains(r#""client":"192.0.2.1:4711","scheme":"https""#),
            "{response}"
        );
    }

    let run = |flags: &[&[&str]]| run_program(&flags.concat(), &[]);
    run(&[&listen, &pair]).expect_line(2, "--listen-tls-proxy-protocol: needs a --trusted-proxy");
    run(&[&listen, &trust]).expect_line(2, "--listen-tls-proxy-protocol: needs --tls-cert");
}
