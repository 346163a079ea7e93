use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Program, TempDir, TempPath, eventually, request};

/// Starts the program with an access log and further arguments.
fn spawn_with_log(path: &TempPath, arguments: &[&str]) -> Program {
    let name = path.text();
    Program::spawn(&[&["--access-log", name][..], arguments].concat())
}

fn lines(path: impl AsRef<Path>) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the log exists");
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line is incomplete"
    );
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_request_is_logged_at_exit() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 500;
    let path = TempPath::new("access");
    let program = spawn_with_log(&path, &["--workers", "4"]);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut client = program.connect();
            scope.spawn(move || {
                for request in 0..REQUESTS {
                    client
                        .get(&format!("/{number}/{request}"))
                        .expect_status(200);
                }
            });
        }
    });
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let mut lines = lines(&path);
    assert_eq!(lines.len(), CLIENTS * REQUESTS);
    assert!(lines.iter().all(|line| line.starts_with("127.0.0.1 - - [")));
    lines.sort_unstable_by_key(|line| line.split('"').nth(1).map(str::to_owned));
    lines.dedup();
    assert_eq!(lines.len(), CLIENTS * REQUESTS, "ids repeat");
}

#[test]
fn handled_and_rejected_requests_are_logged() {
    let path = TempPath::new("combined");
    let program = spawn_with_log(&path, &["--max-body", "10"]);
    let mut client = program.connect();
    client.send(
        "GET /a HTTP/1.1\r\nHost: it\r\nReferer: http://b/\r\n\
         User-Agent: x\" 200 0 \"forged\r\n\r\n",
    );
    client.expect_status(200);
    client.post("/b", "four").expect_body("four");
    client.send(request::post_head("/c", 11)).expect_status(413);
    program
        .connect()
        .send("nonsense\r\n\r\n")
        .expect_status(400);
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let ends = [
        r#"] "GET /a HTTP/1.1" 200 29 "http://b/" "x\x22 200 0 \x22forged""#,
        r#"] "POST /b HTTP/1.1" 200 4 "-" "-""#,
        r#"] "POST /c HTTP/1.1" 413 53 "-" "-""#,
        r#"] "-" 400 47 "-" "-""#,
    ];
    let lines = lines(&path);
    for end in ends {
        let count = lines.iter().filter(|line| line.ends_with(end)).count();
        assert_eq!(count, 1, "{end} in {lines:#?}");
    }
    assert_eq!(lines.len(), ends.len());
}

#[test]
fn json_lines_name_the_request() {
    let path = TempPath::new("json");
    // One worker writes lines in the order of the requests.
    let json = [
        "--access-log-format",
        "json",
        "--request-ids",
        "--workers",
        "1",
    ];
    let program = spawn_with_log(&path, &json);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut client = program.connect();
    client.send(format!(
        "GET /a HTTP/1.1\r\nHost: it\r\nX-Request-Id: from-afar\r\ntraceparent: {traceparent}\r\n\r\n"
    ));
    let response = client.expect_status(200);
    assert_eq!(response.header("x-request-id"), Some("from-afar"));
    let response = client.get("/b").expect_status(200);
    let id = response
        .header("x-request-id")
        .expect("the response has an id");
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let lines: Vec<Value> = lines(&path)
        .iter()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(lines[0]["request_id"], "from-afar");
    assert_eq!(lines[0]["traceparent"], traceparent);
    assert_eq!(lines[1]["request_id"], id);
    assert_eq!(lines[1]["target"], "/b");
}

#[test]
fn renamed_log_is_reopened_without_loss() {
    let (path, rotated) = (TempPath::new("rotate"), TempPath::new("rotate.1"));
    let mut program = spawn_with_log(&path, &[]);
    let mut client = program.connect();
    client.get("/before").expect_status(200);
    fs::rename(&path, &rotated).expect("the log exists");
    program.signal(Signal::USR1);
    program.expect_line("access log reopened");
    client.get("/after").expect_status(200);
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let (before, after) = (lines(&rotated), lines(&path));
    assert_eq!(before.len() + after.len(), 2);
    assert!(
        after.iter().any(|line| line.contains("/after")),
        "{after:?}"
    );
}

#[test]
fn log_lines_are_written_promptly() {
    let path = TempPath::new("soon");
    let program = spawn_with_log(&path, &[]);
    program.connect().get("/soon").expect_status(200);
    eventually("the line is written", || {
        fs::read_to_string(&path).is_ok_and(|text| text.contains("/soon"))
    });
}

#[test]
fn unwritable_log_does_not_stop_the_server() {
    let mut program = Program::spawn(&["--access-log", "/dev/full"]);
    program.connect().get("/").expect_status(200);
    program.expect_line("cannot write to the access log: No space left on device");
    program.connect().get("/").expect_status(200);
    program.signal(Signal::TERM);
    program.expect_line("2 access log lines lost: writing failed");
    program.expect_exit(0);
}

/// Under systemd, standard output is a socket, which cannot be opened by its path.
#[test]
fn standard_output_may_be_a_socket() {
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair can be created");
        let program = Program::spawn_with_output(theirs, &["--access-log", name]);
        program.connect().get("/in-a-socket").expect_status(200);
        program.signal(Signal::TERM);
        program.expect_exit(0);
        let lines = io::read_to_string(ours).expect("the lines are text");
        assert!(
            lines.contains("\"GET /in-a-socket HTTP/1.1\" 200"),
            "{name}: {lines}"
        );
    }
}

#[test]
fn socket_other_than_a_standard_stream_is_an_error() {
    let path = TempPath::new("socket");
    let _listener = UnixListener::bind(&path).expect("the name is free");
    let arguments = ["--listen", "127.0.0.1:0", "--access-log", path.text()];
    let exit = crate::support::run_program(&arguments, &[]);
    exit.expect_line(1, "this is a socket, not a file");
}

#[test]
fn torn_line_of_an_earlier_process_is_ended_first() {
    let path = TempPath::new("torn");
    fs::write(&path, "127.0.0.1 - - [10/Oct").expect("the folder is writable");
    let program = spawn_with_log(&path, &[]);
    program.connect().get("/next").expect_status(200);
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let lines = lines(&path);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "127.0.0.1 - - [10/Oct");
    assert!(lines[1].starts_with("127.0.0.1 - - [") && lines[1].contains("GET /next"));
}

/// Starts the program with an unread pipe as its access log, and more lines than the pipe holds.
pub(crate) fn spawn_with_unread_log(
    folder: &TempDir,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (Program, File) {
    let pipe = folder.pipe("log").path("log");
    // Opening both ends does not block.
    let ends = File::options().read(true).write(true).open(&pipe);
    let name = pipe.to_str().expect("the path is UTF-8");
    let arguments = [&["--access-log", name][..], arguments].concat();
    let program = Program::spawn_with(&arguments, variables);
    let mut client = program.connect();
    let path = format!("/{}", "long".repeat(50));
    for _ in 0..1000 {
        client.get(&path).expect_status(200);
    }
    (program, ends.expect("the pipe can be opened"))
}

#[test]
fn unread_log_does_not_delay_exit() {
    let folder = TempDir::new();
    let (mut program, _ends) = spawn_with_unread_log(&folder, &["--drain-timeout", "1s"], &[]);
    program.signal(Signal::TERM);
    program.expect_line(", 1000 responses, 0 aborted");
    program.expect_line("access log lines lost: its output is blocked");
    program.expect_exit(0);
}

#[test]
fn lost_lines_are_reported_and_counted() {
    const REQUESTS: u64 = 2000;
    let folder = TempDir::new();
    let (mut program, _ends) = spawn_with_unread_log(&folder, &["--drain-timeout", "1s"], &[]);
    let mut client = program.connect();
    let path = format!("/{}", "long".repeat(1000));
    for _ in 0..REQUESTS {
        client.get(&path).expect_status(200);
    }
    program.expect_line("access log lines are being lost");
    program.signal(Signal::TERM);
    let line = program.expect_line("access log lines lost: its output is blocked");
    let mut numbers = line.split(' ').filter_map(|word| word.parse::<u64>().ok());
    let lost = numbers.next().expect("the count is a number");
    // The pipe holds some of the earlier lines.
    assert!((REQUESTS..=REQUESTS + 1000).contains(&lost), "{line}");
    let exit = program.expect_exit(0);
    assert_eq!(exit.errors.matches("being lost").count(), 1, "{exit:?}");
}

#[test]
fn second_signal_does_not_wait_for_an_unread_log() {
    let folder = TempDir::new();
    let (mut program, _ends) = spawn_with_unread_log(&folder, &["--drain-timeout", "1h"], &[]);
    program.signal(Signal::TERM);
    program.expect_line(", 1000 responses, 0 aborted");
    program.signal_until_exit(Signal::TERM);
    let exit = program.expect_exit(0);
    assert!(exit.errors.contains("access log lines lost"), "{exit:?}");
}

#[test]
fn unopenable_log_is_a_one_line_error() {
    let arguments = ["--listen", "127.0.0.1:0", "--access-log", "/no/such/folder"];
    let exit = crate::support::run_program(&arguments, &[]);
    exit.expect_line(1, "--access-log /no/such/folder: ");
    let exit = crate::support::run_program(&[&arguments[..], &["--check"]].concat(), &[]);
    exit.expect_line(1, "--access-log /no/such/folder: ");
}
