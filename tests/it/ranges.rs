use std::fs;
use std::path::Path;

use httpool::http::Method;
use httpool::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    LAST_MODIFIED, RANGE, VARY,
};
use httpool::{EntityTags, ServeDir};

use crate::support::{Client, End, HUGE, Random, Response, TempDir, TestServer, call, get, header};

/// A file older than this build of the tests, so that its entity tag is strong.
const OLD: &str = "/LICENSE-MIT";

fn old_file() -> (ServeDir, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let content = fs::read(folder.join(&OLD[1..])).expect("the file exists");
    (
        ServeDir::new(folder).expect("the folder can be served"),
        content,
    )
}

fn serve(folder: &TempDir) -> TestServer {
    let files = ServeDir::new(folder).expect("the folder can be served");
    TestServer::spawn(|builder| builder, files)
}

fn get_ranges(client: &mut Client, target: &str, ranges: &str) {
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: it\r\nRange: bytes={ranges}\r\n\r\n"
    ));
}

/// The head and the content of each part.
#[track_caller]
fn parts(response: &Response) -> Vec<(String, Vec<u8>)> {
    let media_type = response.header("content-type").unwrap_or_default();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=");
    let line = format!("--{}", boundary.expect("the response is multipart"));
    let rest = response.body.strip_prefix(b"\r\n");
    let mut rest = rest.expect("a line break precedes the first boundary");
    let mut parts = Vec::new();
    loop {
        rest = rest
            .strip_prefix(line.as_bytes())
            .expect("a boundary follows");
        if rest == b"--\r\n" {
            return parts;
        }
        let end = rest
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a part has a head");
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let next = format!("\r\n{line}");
        let end = rest
            .windows(next.len())
            .position(|these| these == next.as_bytes());
        let (content, after) = rest.split_at(end.expect("the part has an end"));
        parts.push((head, content.to_vec()));
        rest = &after[2..];
    }
}

#[test]
fn single_range_is_exact_for_any_file_size() {
    let folder = TempDir::new();
    let server = serve(&folder);
    let mut client = server.connect();
    for size in [10, 20_000, 3_000_000] {
        let content = Random::new(8).bytes(size);
        folder.file("file.txt", &content);
        for (range, part) in [
            ("0-0".to_owned(), 0..1),
            ("5-".to_owned(), 5..size),
            ("-3".to_owned(), size - 3..size),
            (format!("1-{}", size - 2), 1..size - 1),
            (format!("2-{}", 2 * size), 2..size),
        ] {
            get_ranges(&mut client, "/file.txt", &range);
            let response = client.expect_status(206);
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            assert_eq!(response.header("content-range"), Some(&*content_range));
            assert!(response.body == content[part], "{range} of {size}");
        }
    }
}

#[test]
fn several_ranges_come_in_one_multipart_response() {
    let folder = TempDir::new();
    let content = Random::new(9).bytes(1_000_000);
    folder.file("file.txt", &content);
    let server = serve(&folder);
    let mut client = server.connect();
    get_ranges(
        &mut client,
        "/file.txt",
        "900000-, 0-0, 5000-399999, 6000-7000",
    );
    let response = client.expect_status(206);
    assert_eq!(response.header("content-range"), None);
    let expected = [(900_000, 1_000_000), (0, 1), (5000, 400_000)];
    let parts = parts(&response);
    assert_eq!(parts.len(), expected.len());
    for ((head, part), (start, end)) in parts.iter().zip(expected) {
        let content_range = format!(
            "\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes {start}-{}/1000000",
            end - 1
        );
        assert_eq!(*head, content_range);
        assert!(*part == content[start..end], "{start}-{end}");
    }
    // Adjacent ranges are merged into a single one, which needs no multipart response.
    get_ranges(&mut client, "/file.txt", "10-19,20-29,5-12");
    assert!(client.expect_status(206).body == content[5..30]);
}

/// zsync requests twenty ranges at once.
#[test]
fn sixty_four_ranges_are_the_limit() {
    let folder = TempDir::new();
    let content = Random::new(10).bytes(100_000);
    folder.file("file.txt", &content);
    let server = serve(&folder);
    let mut client = server.connect();
    let ranges = |count: usize| {
        let each = (0..count).map(|index| format!("{0}-{0}", index * 1000));
        each.collect::<Vec<_>>().join(",")
    };
    get_ranges(&mut client, "/file.txt", &ranges(64));
    let parts = parts(&client.expect_status(206));
    assert_eq!(parts.len(), 64);
    for (index, (_, part)) in parts.iter().enumerate() {
        assert_eq!(*part, content[index * 1000..=index * 1000]);
    }
    get_ranges(&mut client, "/file.txt", &ranges(65));
    client.expect_status(416);
    // Overlapping ranges are merged first and then counted.
    get_ranges(&mut client, "/file.txt", &(ranges(65) + ",0-"));
    assert!(client.expect_status(206).body == content);
}

#[test]
fn space_before_the_equals_sign_invalidates_a_range() {
    let folder = TempDir::new();
    folder.file("file", "0123456789");
    let server = serve(&folder);
    let mut client = server.connect();
    client.send("GET /file HTTP/1.1\r\nHost: it\r\nRange: bytes =0-1\r\n\r\n");
    client.expect_body("0123456789");
}

#[test]
fn bad_ranges_are_416_or_ignored() {
    let folder = TempDir::new();
    folder
        .file("file", "0123456789")
        .file("none", "")
        .file("many", [0; 100_000]);
    let server = serve(&folder);
    let mut client = server.connect();
    for ranges in ["10-", "100-200, 50-", "-0"] {
        get_ranges(&mut client, "/file", ranges);
        let response = client.expect_status(416);
        assert_eq!(
            response.header("content-range"),
            Some("bytes */10"),
            "{ranges}"
        );
    }
    for ranges in ["", "x", "5-4", "1-2;3-4", "0-1, x"] {
        get_ranges(&mut client, "/file", ranges);
        client.expect_body("0123456789");
    }
    get_ranges(&mut client, "/none", "0-");
    client.expect_body("");
    // As many ranges as fit into a request head.
    let many: Vec<_> = (0..900)
        .map(|index| format!("{0}-{0}", index * 60 * 3))
        .collect();
    get_ranges(&mut client, "/many", &many.join(","));
    assert_eq!(
        client.expect_status(416).header("content-range"),
        Some("bytes */100000")
    );
    get_ranges(&mut client, "/many", &"0-,".repeat(5000));
    assert_eq!(client.expect_status(206).body.len(), 100_000);
    client.send("HEAD /file HTTP/1.1\r\nHost: it\r\nRange: bytes=0-1\r\n\r\n");
    let response = client.expect_response_to_head();
    assert_eq!(
        (response.status, response.header("content-length")),
        (200, Some("10"))
    );
}

#[test]
fn if_range_resumes_only_an_unchanged_file() {
    let (files, content) = old_file();
    let first = get(&files, OLD, &[]);
    let tag = header(&first, ETAG)
        .expect("the response has an entity tag")
        .to_owned();
    let date = header(&first, LAST_MODIFIED)
        .expect("the response has a date")
        .to_owned();
    assert!(tag.starts_with('"'), "{tag}");
    for (validator, status) in [
        (&*tag, 206),
        (&*date, 206),
        ("\"other\"", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        (&*format!("W/{tag}"), 200),
        ("", 200),
    ] {
        let response = get(&files, OLD, &[(RANGE, "bytes=10-"), (IF_RANGE, validator)]);
        assert_eq!(response.status(), status, "{validator}");
        let length = content.len() as u64;
        let sent = if status == 206 { length - 10 } else { length };
        assert_eq!(response.body().length(), Some(sent));
        assert_eq!(header(&response, ETAG), Some(&*tag));
    }
    // With tags from change times, a date in If-Range never matches.
    let (by_change, _) = old_file();
    let by_change = by_change.entity_tags(EntityTags::Change);
    let headers = [(RANGE, "bytes=10-"), (IF_RANGE, &*date)];
    assert_eq!(get(&by_change, OLD, &headers).status(), 200);
    // If-Range is checked before the range: an unsatisfiable range of a changed file is ignored.
    let beyond = [(RANGE, "bytes=999999-"), (IF_RANGE, "\"other\"")];
    assert_eq!(get(&files, OLD, &beyond).status(), 200);
}

#[test]
fn ranges_apply_to_the_precompressed_file() {
    let folder = TempDir::new();
    folder
        .file("a.css", "0123456789")
        .file("a.css.br", [7; 1000]);
    let files = ServeDir::new(&folder)
        .expect("the folder can be served")
        .precompressed(true);
    let response = get(
        &files,
        "/a.css",
        &[(ACCEPT_ENCODING, "br"), (RANGE, "bytes=2-")],
    );
    assert_eq!(response.status(), 206);
    assert_eq!(header(&response, CONTENT_RANGE), Some("bytes 2-999/1000"));
    assert_eq!(header(&response, CONTENT_ENCODING), Some("br"));
    assert_eq!(header(&response, VARY), Some("accept-encoding"));
    assert_eq!(
        header(&response, CONTENT_TYPE),
        Some("text/css; charset=utf-8")
    );
    assert_eq!(
        header(&response, CONTENT_LENGTH),
        None,
        "the server sets Content-Length"
    );
    let several = [(ACCEPT_ENCODING, "br"), (RANGE, "bytes=0-0,-1")];
    assert_eq!(get(&files, "/a.css", &several).status(), 200);
    assert_eq!(call(&files, Method::HEAD, "/a.css", &several).status(), 200);
}

#[test]
fn file_truncated_during_multipart_resets_the_connection() {
    let folder = TempDir::new();
    let file = folder.sparse("file", HUGE as u64);
    let server = serve(&folder);
    let mut client = server.connect();
    get_ranges(&mut client, "/file", &format!("0-0,1000-{}", HUGE - 1));
    client.expect_bytes(1);
    file.set_len(2000).expect("the file can be truncated");
    assert_eq!(client.read_rest().1, End::Reset);
}
