use super::*;

/// More than any body here needs.
const LIMITS: Limits = Limits {
    total: 100_000,
    parts: 100,
    part: 10_000,
    part_head: 1000,
};

const A: &str = "Content-Disposition: form-data; name=\"a\"\r\n\r\n";

/// The parts of a body as `name=content;`, or what ends the scan after them.
fn scan(body: &[u8], size: usize, limits: Limits) -> String {
    let boundary = Boundary::new(b"b").expect("the boundary is valid");
    let mut scanner = Scanner::new(&boundary, limits);
    let (mut start, mut end) = (0, 0);
    let mut seen = String::new();
    loop {
        let is_last = end == body.len();
        match scanner.next(&body[start..end], is_last) {
            Ok((count, event)) => {
                let read = &body[start..start + count];
                start += count;
                match event {
                    Event::Incomplete if is_last => panic!("nothing follows: {seen}"),
                    Event::Incomplete => {
                        assert!(end - start <= scanner.most_unread(), "{seen}");
                        end = body.len().min(end + size);
                    }
                    Event::Part(head) => seen.extend([head.name(), "="]),
                    Event::Content => seen.push_str(&read.escape_ascii().to_string()),
                    Event::PartEnd => seen.push(';'),
                    Event::End => return seen + ".",
                }
            }
            Err(error) => {
                assert_eq!(scanner.next(b"", true), Err(error.clone()));
                return match error {
                    ScanError::TooLarge { limit, .. } => format!("{seen}{limit:?}"),
                    error => format!("{seen}{error}"),
                };
            }
        }
    }
}

#[track_caller]
fn check_with(limits: Limits, body: impl AsRef<[u8]>, expected: &str) {
    let body = body.as_ref();
    for size in [1, 2, 3, 7, 64, body.len().max(1)] {
        let seen = scan(body, size, limits);
        assert_eq!(seen, expected, "{} by {size}", body.escape_ascii());
    }
}

#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: &str) {
    check_with(LIMITS, body, expected);
}

#[test]
fn parts_are_found_at_any_split() {
    check(format!("--b\r\n{A}1\r\n--b--\r\n"), "a=1;.");
    check(
        format!("--b\r\n{A}1\r\n--b\r\n{A}\r\n\r\n--b--"),
        "a=1;a=\\r\\n;.",
    );
    check(format!("--b\r\n{A}\r\n--b--"), "a=;.");
    // The line break behind the headers is also the one before the boundary.
    check(format!("--b\r\n{A}--b--"), "a=;.");
    check("--b--\r\n", ".");
    check("--b--", ".");
}

#[test]
fn text_around_the_parts_is_ignored() {
    check(
        format!("a note\r\n--b \t\r\n{A}1\r\n--b-- \t\r\nmore\r\n--b\r\n"),
        "a=1;.",
    );
    check(format!("\r\n--b\r\n{A}1\r\n--b-- "), "a=1;.");
    check(format!("--\r\n--x\r\n\r\n--b\r\n{A}1\r\n--b--"), "a=1;.");
    check(format!("x--b\r\n\r\n--b\r\n{A}1\r\n--b--"), "a=1;.");
}

#[test]
fn content_may_look_like_a_boundary() {
    for content in [
        "\\r",
        "\\r\\n",
        "\\r\\n-",
        "\\r\\r\\n--",
        "x--b--",
        "\\n--b",
        "-",
        "--a",
    ] {
        let raw = content.replace("\\r", "\r").replace("\\n", "\n");
        check(
            format!("--b\r\n{A}{raw}\r\n--b--"),
            &format!("a={content};."),
        );
    }
    check(
        format!("--b\r\n{A}x\r\n--a\r\n--\r\n--b--"),
        "a=x\\r\\n--a\\r\\n--;.",
    );
}

#[test]
fn nested_boundaries_are_content_unless_they_begin_alike() {
    let inner = "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--";
    let head = A.trim_end();
    check(
        format!("--b\r\n{head}\r\n{inner}\r\n--b--"),
        "a=--c\\r\\n\\r\\nx\\r\\n--c--;.",
    );
    let alone = "part 1: a boundary is not alone on its line";
    check(format!("--b\r\n{A}x\r\n--bb\r\n"), &format!("a=x{alone}"));
    check(format!("--b\r\n{A}x\r\n--b--b\r\n"), &format!("a=x{alone}"));
    check(format!("--b\r\n{A}x\r\n--b-\r\n"), &format!("a=x{alone}"));
}

#[test]
fn missing_ends_are_errors() {
    let none = "the body does not have the boundary of Content-Type";
    for body in ["", "-", "--", "x", "\r\n--", "--c--", "\n--b--"] {
        check(body, none);
    }
    let cut = "the body ends before its last boundary";
    for body in ["--b", "--b-", "--b ", "--b\r"] {
        check(body, cut);
    }
    let part = |body: &str, seen: &str| check(format!("--b\r\n{body}"), seen);
    part("", &format!("part 1: {cut}"));
    part("Content-Disposition", &format!("part 1: {cut}"));
    part(A, &format!("a=part 1: {cut}"));
    part(&format!("{A}x"), &format!("a=xpart 1: {cut}"));
    part(&format!("{A}x\r\n--"), &format!("a=xpart 1: {cut}"));
    part(&format!("{A}x\r\n--b"), &format!("a=xpart 1: {cut}"));
    part(&format!("{A}x\r\n--b--\r"), &format!("a=xpart 1: {cut}"));
    part(&format!("{A}x\r\n--b\r\n"), &format!("a=x;part 2: {cut}"));
}

#[test]
fn lines_end_in_crlf() {
    check(
        format!("--b\n{A}x\r\n--b--"),
        "a boundary is not alone on its line",
    );
    check(
        "--b\r\nContent-Disposition: form-data; name=a\n\nx\r\n--b--",
        "part 1: the body ends before its last boundary",
    );
    check(
        "--b\r\n\r\nx\r\n--b--",
        "part 1: it has no Content-Disposition",
    );
    check(
        format!("--b\r\nX: y\r\n z\r\n{A}x\r\n--b--"),
        "part 1: a header line is malformed",
    );
}

#[test]
fn limits_end_the_scan_where_they_are_exceeded() {
    let parts = |count: usize| format!("{}--b--", format!("--b\r\n{A}\r\n").repeat(count));
    check_with(Limits { parts: 2, ..LIMITS }, parts(2), "a=;a=;.");
    check_with(Limits { parts: 2, ..LIMITS }, parts(3), "a=;a=;Parts");

    let part = Limits { part: 5, ..LIMITS };
    check_with(part, format!("--b\r\n{A}12345\r\n--b--"), "a=12345;.");
    check_with(part, format!("--b\r\n{A}123456\r\n--b--"), "a=12345Part");

    let part_head = A.len() - 2;
    let body = format!("--b\r\n{A}1\r\n--b--");
    check_with(
        Limits {
            part_head,
            ..LIMITS
        },
        &body,
        "a=1;.",
    );
    check_with(
        Limits {
            part_head: part_head - 1,
            ..LIMITS
        },
        &body,
        "PartHead",
    );
    check_with(
        Limits {
            part_head: 20,
            ..LIMITS
        },
        "--b\r\n".to_owned() + &"x".repeat(90),
        "PartHead",
    );

    let total = body.len() as u64;
    check_with(Limits { total, ..LIMITS }, &body, "a=1;.");
    check_with(
        Limits {
            total: total - 1,
            ..LIMITS
        },
        &body,
        "a=1Total",
    );
    check_with(
        Limits {
            total: total - 8,
            ..LIMITS
        },
        &body,
        "a=Total",
    );
    check_with(
        Limits {
            total: 10,
            ..LIMITS
        },
        "x".repeat(20),
        "Total",
    );
    check_with(
        Limits { total, ..LIMITS },
        body.clone() + "\r\nx",
        "a=1Total",
    );
}

#[test]
fn ten_thousand_parts_reach_the_limit() {
    let many = format!("--b\r\n{A}\r\n").repeat(10_000);
    let seen = scan(
        many.as_bytes(),
        8192,
        Limits {
            total: u64::MAX,
            ..LIMITS
        },
    );
    assert_eq!(seen, format!("{}Parts", "a=;".repeat(LIMITS.parts)));
}
