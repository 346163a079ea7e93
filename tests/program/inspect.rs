use std::io::Read as _;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::support::Program;

#[test]
fn inspect_replaces_the_echo() {
    let program = Program::spawn(&["--inspect"]);
    let mut client = program.connect();
    let response = client.post("/hook?a=1", "hello").expect_status(200);
    let text = response.text();
    for part in ["\"method\": \"POST\"", "\"text\": \"hello\"", "\"read_us\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn inspect_log_prints_requests_with_masked_secrets() {
    let (ours, output) = UnixStream::pair().expect("a pair of sockets can be created");
    let program = Program::spawn_with_output(output, &["--inspect", "--inspect-log"]);
    let mut client = program.connect();
    client.send(
        "POST /hook HTTP/1.1\r\nHost: it\r\nAuthorization: Bearer secret-1\r\n\
         Content-Length: 9\r\n\r\n{\"a\":\x1b[1}",
    );
    client.expect_status(200);
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let mut printed = String::new();
    let mut ours = ours;
    ours.read_to_string(&mut printed)
        .expect("the output is text");
    let expected = "\n  POST /hook HTTP/1.1\n  Host: it\n  Authorization: Bearer ***\n  \
                    Content-Length: 9\n\n  {\"a\":\\u{1b}[1}\n\n";
    assert!(printed.ends_with(expected), "{printed}");
}
