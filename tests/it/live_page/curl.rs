use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use httpool::services::inspect::{Access, Inspect, Settings};
use serde_json::Value;

use crate::support::TestServer;

/// Requests whose copies are equal to them in every byte of the head and the body. `{}` is the address.
const REPEATED: [&[u8]; 15] = [
    b"GET /a?b=[1-3]&c={x,y} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Quote: it's \"$HOME\" `x` \\n !a\r\n\r\n",
    b"GET /a/%2e%2e/../b HTTP/1.1\r\nHost: {}\r\nuser-AGENT: me\r\nConnection: close\r\nX-Empty:\r\n\r\n",
    b"POST /text HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 22\r\nContent-Type: text/plain\r\n\r\n@it's \n\"two\" \\n 'lines'",
    b"POST /crlf HTTP/1.1\r\nContent-Length: 8\r\nConnection: close\r\nhost: {}\r\n\r\none\r\n\r\n\n",
    b"PUT /binary HTTP/1.1\r\nHost: {}\r\nContent-Length: 6\r\nConnection: close\r\n\r\n\x00\x01%\xff'\n",
    b"POST /empty HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"DELETE /empty HTTP/1.1\r\nContent-Length: 0\r\nHost: {}\r\nConnection: close\r\n\r\n",
    b"POST /nothing HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
    b"PURGE /method HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: */*\r\nX-Latin: caf\xe9\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
    b"POST /chunks HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /no-chunks HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    b"HEAD /head HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"GET /spaces HTTP/1.1\r\nHOST: {}\r\nX-None:a\r\nX-Many:   b\r\nX-A: 1\r\nx-a: 2\r\nX-A: 1\r\nConnection: close\r\n\r\n",
    "POST /bidi HTTP/1.1\r\nHost: {}\r\nX-Name: gpj.\u{202e}exe\r\nContent-Length: 8\r\nConnection: close\r\n\r\n\u{2066}it's\n".as_bytes(),
];

fn server() -> TestServer {
    let settings = Settings::default().access(Access::Local);
    TestServer::spawn(|builder| builder.workers(2), Inspect::new(settings))
}

/// Sends bytes to the server, and reads the whole response.
fn send(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.write_all(request).expect("the server reads");
    let mut response = Vec::new();
    stream
        .read_to_end(&mut response)
        .expect("the server responds");
    String::from_utf8_lossy(&response).into_owned()
}

#[track_caller]
fn get(address: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let response = send(address, request.as_bytes());
    let parts = response.split_once("\r\n\r\n");
    let (head, body) = parts.expect("the head is complete");
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {response}");
    body.to_owned()
}

fn has(command: &str) -> bool {
    Command::new(command).arg("--version").output().is_ok()
}

/// The parts of a request that a copy has to have.
fn repeated(address: &str, id: usize) -> Value {
    let details = get(address, &format!("/inspect/api/requests/{id}"));
    let details: Value = serde_json::from_str(&details).expect("it is JSON");
    let members = ["head", "form", "chunks", "trailers", "body"];
    members.iter().map(|name| details[name].clone()).collect()
}

fn with_address(request: &[u8], address: &str) -> Vec<u8> {
    let place = request.windows(2).position(|two| two == b"{}");
    let place = place.expect("each request has a host");
    [&request[..place], address.as_bytes(), &request[place + 2..]].concat()
}

#[test]
fn curl_repeats_requests() {
    if !has("curl") || !has("bash") {
        return;
    }
    let server = server();
    let address = server.address().to_string();
    for (index, request) in REPEATED.iter().enumerate() {
        let (sent, again) = (2 * index + 1, 2 * index + 2);
        send(&address, &with_address(request, &address));
        let command = get(&address, &format!("/inspect/api/requests/{sent}/curl"));
        let shell = if command.contains("bash") {
            "bash"
        } else {
            "sh"
        };
        let output = Command::new(shell)
            .arg("-c")
            .arg(&command)
            .output()
            .expect("the shell runs");
        assert!(output.status.success(), "{command}: {output:?}");
        let copy = repeated(&address, again);
        assert_eq!(copy, repeated(&address, sent), "{command}");
    }
}

#[test]
fn command_says_what_curl_cannot_repeat() {
    let server = server();
    let address = server.address().to_string();
    let requests: [(&[u8], &str); 4] = [
        (
            b"POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;a=b\r\nde\r\n0\r\nX-Sum: 1\r\nX-Key: 2\r\n\r\n",
            "# The body came in 2 chunks. curl divides it in its own way.\n\
             # curl can't send trailers: X-Sum, X-Key\ncurl ",
        ),
        (
            b"HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
            "# curl waits for content, which a response to HEAD never has.\ncurl ",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-A: \xe2\x80\xae\r\n\r\n",
            "# This needs bash, zsh or ksh.\ncurl ",
        ),
        (b"GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", "curl "),
    ];
    for (index, (request, start)) in requests.into_iter().enumerate() {
        send(&address, &with_address(request, &address));
        let command = get(
            &address,
            &format!("/inspect/api/requests/{}/curl", index + 1),
        );
        assert!(command.starts_with(start), "{command}");
        assert!(!command.contains('\u{202e}'), "{command}");
    }
}
