//! Responses.

use super::*;

#[test]
fn interim_response_precedes_the_final_one() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    server.trace();
    server.mux.send_continue(id(1), &mut server.out);
    server.respond(1, "ok");
    server.mux.send_continue(id(1), &mut server.out);
    let expected = ["> HEADERS 1 100", "> HEADERS 1 200", "> DATA 1 'ok' end"];
    assert_eq!(server.trace(), expected);
}

#[test]
fn responses_without_content_end_with_their_heads() {
    let mut server = Server::new(Policy::Wait);
    let mut respond = |stream: u32, status: u16, content: &'static str, is_head: bool| {
        server.receive(&get(stream));
        let mut response = Response::new(Body::from(content));
        *response.status_mut() = StatusCode::from_u16(status).expect("it is a status");
        let date = Date::new(UNIX_EPOCH);
        let content = server
            .mux
            .respond(id(stream), &response, is_head, &date, &mut server.out);
        assert_eq!(server.mux.len(), 0);
        assert_eq!(content, Content::Omitted);
        server.trace().pop()
    };
    let end = |text: &str| Some(format!("> HEADERS {text} end"));
    assert_eq!(respond(1, 204, "", false), end("1 204"));
    assert_eq!(respond(3, 304, "abc", false), end("3 304"));
    assert_eq!(respond(5, 200, "abc", true), end("5 200"));
    assert_eq!(respond(7, 200, "", false), end("7 200"));
    assert_eq!(respond(9, 404, "", true), end("9 404"));
}

#[test]
fn trailers_end_a_response() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.begin_open(1);
    server.send(1, b"abc", false);
    let trailers = header_map("x-sum", "6");
    server.mux.send_trailers(id(1), &trailers, &mut server.out);
    let expected = [
        "request 1 ended",
        "> HEADERS 1 200",
        "> DATA 1 'abc'",
        "> HEADERS 1 6 end",
    ];
    assert_eq!(server.trace(), expected);
    assert_eq!(server.mux.len(), 0);
}

#[test]
fn trailers_that_are_not_allowed_are_left_out() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.begin_open(1);
    server.trace();
    let trailers = header_map("content-length", "6");
    server.mux.send_trailers(id(1), &trailers, &mut server.out);
    assert_eq!(server.trace(), ["> DATA 1 '' end"]);
}

#[test]
fn upgrade_sends_nothing() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.trace();
    let upgrade = crate::message::Upgrade::new("websocket", |_| {});
    let response = crate::message::IntoResponse::into_response(upgrade);
    let date = Date::new(UNIX_EPOCH);
    let content = server
        .mux
        .respond(id(1), &response, false, &date, &mut server.out);
    assert_eq!(content, Content::Switched);
    assert!(server.out.is_empty());
    let code = ErrorCode::Http11Required;
    assert!(server.mux.reset(id(1), code, &mut server.out).is_some());
    assert_eq!(server.trace(), ["> RST_STREAM 1 HTTP_1_1_REQUIRED"]);
}

#[test]
fn long_heads_are_split_into_continuations() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.trace();
    let mut response = Response::new(Body::empty());
    let long = http::HeaderValue::from_bytes(&[b'x'; 40_000]).expect("it is a value");
    response.headers_mut().insert("x-long", long);
    let date = Date::new(UNIX_EPOCH);
    let content = server
        .mux
        .respond(id(1), &response, false, &date, &mut server.out);
    assert_eq!(content, Content::Omitted);
    let (mut rest, mut block, mut kinds) = (&server.out[..], Vec::new(), Vec::new());
    while let Some((header, after)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        kinds.push((header[3], header[4]));
        block.extend_from_slice(&after[..length]);
        rest = &after[length..];
    }
    assert_eq!(kinds, [(1, END_STREAM), (9, 0), (9, END_HEADERS)]);
    assert_eq!(first_field(&block), "200");
}

#[test]
fn nothing_is_sent_on_a_stream_that_is_gone() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[get(1), rst_stream(1, ErrorCode::Cancel)].concat());
    server.trace();
    server.respond(1, "ok");
    server.send(1, b"abc", true);
    server.mux.send_continue(id(1), &mut server.out);
    let map = header_map("x-sum", "6");
    server.mux.send_trailers(id(1), &map, &mut server.out);
    server.mux.release(id(1), 5, &mut server.out);
    server.mux.raise_window(id(1), &mut server.out);
    server.mux.discard(id(1));
    server.mux.set_pending(id(1), Some(1));
    assert_eq!(server.mux.capacity(id(1)), 0);
    assert_eq!(server.mux.next_to_send(), None);
    assert!(server.mux.is_ended(id(1)));
    assert_eq!(server.trace(), [""; 0]);
}

#[test]
fn second_response_is_not_sent() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&post(1));
    server.respond(1, "ok");
    server.trace();
    server.respond(1, "again");
    server.send(1, b"abc", true);
    assert_eq!(server.trace(), [""; 0]);
}

#[test]
fn content_may_be_in_place() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&[post(1), get(3)].concat());
    server.begin_open(1);
    server.trace();
    for (content, end) in [(&b"abc"[..], false), (b"d", true)] {
        let start = server.out.len();
        server.out.extend_from_slice(&[7; Mux::<u32>::DATA_HEADER]);
        server.out.extend_from_slice(content);
        server
            .mux
            .send_data_in_place(id(1), start, end, &mut server.out);
    }
    // This response has not begun.
    let start = server.out.len();
    server.out.extend_from_slice(&[7; 12]);
    server
        .mux
        .send_data_in_place(id(3), start, true, &mut server.out);
    assert_eq!(server.trace(), ["> DATA 1 'abc'", "> DATA 1 'd' end"]);
}

#[test]
fn parts_that_follow_each_other_share_a_frame() {
    let mut server = Server::new(Policy::Wait);
    server.receive(&get(1));
    server.receive(&get(3));
    server.begin_open(1);
    server.begin_open(3);
    server.trace();
    let mut append = |stream: u32, content: &[u8], end: bool| {
        let Server { mux, out, .. } = &mut server;
        mux.append_data(id(stream), content, end, out);
    };
    append(1, b"a", false);
    append(1, b"", false);
    append(1, b"bc", false);
    // Another stream comes between.
    append(3, b"d", false);
    append(1, b"e", false);
    append(1, b"f", true);
    let expected = ["> DATA 1 'abc'", "> DATA 3 'd'", "> DATA 1 'ef' end"];
    assert_eq!(server.trace(), expected);
    let sent = server.mux.content_sent();
    assert_eq!((sent, server.mux.len()), (6, 1));

    // What has left stays as it is, and a frame has its longest length.
    let large = vec![b'x'; Mux::<u32>::MAX_DATA - 1];
    let Server { mux, out, .. } = &mut server;
    mux.append_data(id(3), b"g", false, out);
    mux.seal_data();
    mux.append_data(id(3), &large, false, out);
    mux.append_data(id(3), b"h", false, out);
    mux.append_data(id(3), b"i", true, out);
    let lengths: Vec<_> = data_lengths(out);
    assert_eq!(lengths, [1, large.len() + 1, 1]);
}

/// The lengths of the DATA frames in the output.
fn data_lengths(mut out: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some((header, rest)) = out.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        assert_eq!(header[3], 0, "it is DATA");
        lengths.push(length);
        out = &rest[length..];
    }
    lengths
}
