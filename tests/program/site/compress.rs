//! `--compress`.

use super::{ask, folder, get, serve};
use crate::support::{Http2Client, http2};

const SCRIPT: &str = "/assets/app.js";

#[test]
fn text_is_compressed_and_the_rest_is_not() {
    let folder = folder();
    folder.file("a.png", "PNG ".repeat(1000));
    let program = serve(&folder, &["--compress"]);
    for (accepted, coding) in [
        ("gzip", Some("gzip")),
        ("br", Some("br")),
        ("zstd", Some("zstd")),
        ("gzip, br, zstd", Some("zstd")),
        ("gzip;q=0, identity", None),
    ] {
        let response = get(
            &program,
            SCRIPT,
            &format!("Accept-Encoding: {accepted}\r\n"),
        );
        assert_eq!(response.header("content-encoding"), coding, "{accepted}");
        assert_eq!(response.header("vary"), Some("accept-encoding"));
        let tag = response.header("etag").unwrap_or_default();
        assert_eq!(tag.starts_with("W/"), coding.is_some(), "{tag}");
        assert_eq!(response.body.len() < 1000, coding.is_some());
    }
    for target in ["/", "/a.png"] {
        let response = get(&program, target, "Accept-Encoding: gzip\r\n");
        assert_eq!(response.header("content-encoding"), None, "{target}");
    }
    let mut client = Http2Client::over(program.connect(), &[]);
    let mut fields = http2::request_fields("GET", SCRIPT);
    fields.push(("accept-encoding", "gzip"));
    let stream = client.request(&fields);
    let response = client.expect_status(stream, 200);
    assert_eq!(response.header("content-encoding"), Some("gzip"));
}

/// RFC 9110 section 8.8.3: a strong tag names exact bytes.
#[test]
fn tags_and_ranges_fit_the_coding() {
    let folder = folder();
    let program = serve(&folder, &["--compress"]);
    let mut client = program.connect();
    let gzip = "Accept-Encoding: gzip\r\n";
    let plain = ask(&mut client, "GET", SCRIPT, "");
    let strong = plain.header("etag").expect("files have a tag").to_owned();
    let compressed = ask(&mut client, "GET", SCRIPT, gzip);
    let weak = compressed
        .header("etag")
        .expect("files have a tag")
        .to_owned();
    assert_eq!(weak, format!("W/{strong}"));
    assert_eq!(compressed.header("accept-ranges"), None);

    let head = ask(&mut client, "HEAD", SCRIPT, gzip);
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("etag"), Some(&*weak));

    for tag in [&strong, &weak] {
        let lines = format!("{gzip}If-None-Match: {tag}\r\n");
        let unchanged = ask(&mut client, "GET", SCRIPT, &lines);
        assert_eq!(unchanged.status, 304);
        assert_eq!(unchanged.header("etag"), Some(&**tag));
        assert_eq!(unchanged.header("vary"), Some("accept-encoding"));
    }

    let range = format!("{gzip}Range: bytes=0-9\r\n");
    let part = ask(&mut client, "GET", SCRIPT, &range);
    assert_eq!((part.status, part.text().as_str()), (206, "console.lo"));
    assert_eq!(part.header("content-encoding"), None);
    assert_eq!(part.header("etag"), Some(&*strong));
    // A part of the file does not continue the compressed content.
    let resumed = format!("{range}If-Range: {weak}\r\n");
    let whole = ask(&mut client, "GET", SCRIPT, &resumed);
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-encoding"), Some("gzip"));
    let resumed = format!("{range}If-Range: {strong}\r\n");
    assert_eq!(ask(&mut client, "GET", SCRIPT, &resumed).status, 206);
}

#[test]
fn compressed_copy_beside_the_file_wins() {
    let folder = folder();
    folder.file("assets/app.js.gz", "not really gzip");
    let program = serve(&folder, &["--compress", "--precompressed"]);
    let copy = get(&program, SCRIPT, "Accept-Encoding: gzip\r\n");
    assert_eq!(copy.header("content-encoding"), Some("gzip"));
    assert_eq!(copy.text(), "not really gzip");
    let other = get(&program, SCRIPT, "Accept-Encoding: br\r\n");
    assert_eq!(other.header("content-encoding"), Some("br"));
    assert_eq!(other.header("vary"), Some("accept-encoding"));
}
