use httpool::{Archives, ServeDir};

use crate::support::http2::request_fields;
use crate::support::{End, HUGE, Http2Client, Random, TempDir, TestServer};

/// More than the buffers of a socket hold.
const LARGE: usize = 12_000_000;

fn folder() -> TempDir {
    let folder = TempDir::new();
    let content = Random::new(8).bytes(LARGE);
    folder
        .file("photos/large", content)
        .file("photos/z", "z")
        .file("beside", "x");
    folder
}

fn handler(folder: &TempDir) -> ServeDir {
    let files = ServeDir::new(folder).expect("the folder exists");
    files.archives(Archives::new())
}

#[test]
fn slow_downloads_occupy_no_worker() {
    let folder = folder();
    let server = TestServer::spawn(|builder| builder.workers(1), handler(&folder));
    let mut slow = Vec::new();
    for format in ["tar", "tar.gz", "zip", "tar"] {
        let mut client = server.connect();
        client.get_and_close(&format!("/photos/?archive={format}"));
        client.expect_bytes(1);
        slow.push(client);
    }
    server.connect().get_and_close("/beside").expect_body(b"x");
    for mut client in slow {
        let (received, end) = client.read_rest();
        assert!(received.len() > LARGE, "{}", received.len());
        assert!(received.ends_with(b"0\r\n\r\n"), "{end:?}");
    }
}

#[test]
fn shorter_file_resets_the_connection() {
    let folder = TempDir::new();
    folder.file("photos/z", "z");
    let large = folder.sparse("photos/large", HUGE as u64);
    let server = TestServer::spawn(|builder| builder, handler(&folder));
    let mut client = server.connect();
    // The content of the file, so that it is open.
    client
        .get_and_close("/photos/?archive=tar")
        .expect_bytes(10_000);
    large.set_len(1000).expect("it can be truncated");
    let (received, end) = client.read_rest();
    assert_eq!(end, End::Reset);
    assert!(received.len() < HUGE);
}

#[test]
fn http2_clients_get_archives_on_streams() {
    let folder = folder();
    let server = TestServer::spawn(|builder| builder, handler(&folder));
    let mut client = Http2Client::connect(&server);
    let fields = request_fields("GET", "/photos/?archive=tar");
    let [one, other] = [client.request(&fields), client.request(&fields)];
    let length = |client: &mut Http2Client, stream| client.expect_status(stream, 200).body.len();
    let expected = length(&mut client, one);
    assert!(expected > LARGE);
    assert_eq!(length(&mut client, other), expected);
}
