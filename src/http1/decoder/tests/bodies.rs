//! Requests whose body is incomplete, undecided or not needed.

use super::*;

#[test]
fn request_rejected_for_its_body_is_still_known() {
    let head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (mut decoder, mut buffer, mut input) = (
        Decoder::default(),
        RequestBuffer::default(),
        Input::default(),
    );
    input.extend(head);
    let waits = decoder.decode(&mut input, &mut buffer, &LIMITS);
    assert_eq!(waits, Ok(Event::Incomplete(Progress::Body)));
    buffer.clear();
    input.extend(b"nonsense");
    let rejected = decoder.decode(&mut input, &mut buffer, &LIMITS);
    assert_eq!(rejected, Err(RequestError::Chunk));
    assert_eq!(buffer.request.uri(), "/x");
    assert_eq!(buffer.request_line(), "POST /x HTTP/1.1");
    assert_eq!(buffer.context.persistence, Persistence::KeepAlive);
}

#[test]
fn body_without_a_mode_is_taken_if_it_has_arrived() {
    let length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let waiting = length.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    for (head, body, event) in [
        (length, "hello", Event::Request),
        (length, "hell", Event::Stream),
        (length, "", Event::Stream),
        (chunked, "5\r\nhello\r\n0\r\n\r\n", Event::Request),
        (chunked, "5\r\nhello\r\n0\r\n", Event::Stream),
        (&*waiting, "hello", Event::Request),
        (&*waiting, "", Event::Stream),
    ] {
        let (mut decoder, mut buffer, mut input) = (
            Decoder::default(),
            RequestBuffer::default(),
            Input::default(),
        );
        input.extend(head.as_bytes());
        input.extend(body.as_bytes());
        let decoded = decoder.decode_with(&mut input, &mut buffer, &LIMITS, |_| None);
        assert_eq!(decoded, Ok(event), "{head}{body}");
        decoder.abandon(&mut buffer);
        assert_eq!(buffer.request.method(), "POST");
        assert_eq!(decoder.held(), 0);
    }
}

#[test]
fn unneeded_body_can_be_gathered_or_discarded() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let begin = |head: &str| {
        let (mut decoder, mut buffer, mut input) = (
            Decoder::default(),
            RequestBuffer::default(),
            Input::default(),
        );
        input.extend(head.as_bytes());
        for _ in 0..2 {
            let body_mode = |_: &mut Request| Some(BodyMode::HeadOnly);
            let decoded = decoder.decode_with(&mut input, &mut buffer, &LIMITS, body_mode);
            assert_eq!(decoded, Ok(Event::HeadOnly), "until it is decided");
        }
        assert_eq!(buffer.request.body().length(), Some(5));
        (decoder, buffer, input)
    };

    let (mut decoder, mut buffer, mut input) = begin(head);
    assert!(decoder.can_discard(&LIMITS));
    assert_eq!(decoder.gather(&LIMITS), Ok(Expectation::None));
    input.extend(b"hello");
    let decoded = decoder.decode(&mut input, &mut buffer, &LIMITS);
    assert_eq!(decoded, Ok(Event::Request));
    assert_eq!(buffer.request.body().as_bytes(), b"hello");

    let (mut decoder, mut buffer, mut input) = begin(head);
    decoder.discard(&LIMITS, Persistence::Close);
    for (part, event) in [
        ("hell", Event::Incomplete(Progress::Nothing)),
        ("oGET", Event::Discarded(Persistence::Close)),
        (" /", Event::Incomplete(Progress::Head)),
    ] {
        assert_eq!(
            (decoder.received(), decoder.held()),
            (0, 0),
            "nothing is kept"
        );
        input.extend(part.as_bytes());
        let decoded = decoder.decode(&mut input, &mut buffer, &LIMITS);
        assert_eq!(decoded, Ok(event), "{part}");
    }

    let waiting = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (mut decoder, ..) = begin(&waiting);
    assert!(!decoder.can_discard(&LIMITS));
    assert_eq!(decoder.gather(&LIMITS), Ok(Expectation::Continue));

    let (mut decoder, ..) = begin(head);
    let small = Limits { body: 4, ..LIMITS };
    assert!(!decoder.can_discard(&small));
    assert_eq!(decoder.gather(&small), Err(RequestError::BodyTooLarge));
}
