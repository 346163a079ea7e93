//! The order of frames, and frames that arrive in parts.

use super::*;

#[test]
fn settings_come_first() {
    let first_frames = [
        frame(0, 0, 1, b"a"),
        frame(1, 4, 1, b"a"),
        frame(4, 1, 0, b""),
        frame(6, 0, 0, &[0; 8]),
        frame(8, 0, 0, &[0, 0, 0, 1]),
        frame(9, 4, 1, b"a"),
        frame(0xbe, 0, 0, b""),
    ];
    for first in first_frames {
        assert_eq!(run([&first[..]]).shown, PROTOCOL_ERROR);
        assert_eq!(run(first.chunks(1)).shown, PROTOCOL_ERROR);
    }
}

/// A client can't make the server wait for bytes that it will reject.
#[test]
fn bad_frames_are_rejected_by_their_header_alone() {
    let headers = [
        header(16_384, 0, 0, 0),
        header(16_384, 1, 4, 2),
        header(5, 3, 0, 1),
        header(7, 4, 0, 0),
        header(6 * 33, 4, 0, 0),
        header(9, 6, 0, 0),
        header(7, 7, 0, 0),
        header(5, 8, 0, 0),
        header(16_384, 9, 0, 1),
    ];
    for bytes in headers {
        let whole = [empty_settings(), bytes].concat();
        assert!(run([&whole[..]]).is_over, "{whole:?}");
    }
}

#[test]
fn a_larger_limit_allows_larger_frames() {
    let bytes = [empty_settings(), frame(0, 0, 1, &[b'x'; 20_000])].concat();
    let mut decoder = FrameDecoder::new(20_000);
    let mut input = &bytes[..];
    assert!(matches!(
        decoder.decode(&mut input),
        Ok(Some(Frame::Settings(_)))
    ));
    let Ok(Some(Frame::Data(data))) = decoder.decode(&mut input) else {
        panic!("the frame is valid");
    };
    assert_eq!(data.content.len(), 20_000);
}

#[test]
fn parts_of_data_arrive_without_the_rest() {
    let bytes = [empty_settings(), frame(0, 9, 1, b"\x02abc\0\0")].concat();
    let mut decoder = FrameDecoder::new(MAX_FRAME_SIZE);
    let mut input = &bytes[..9 + 9 + 1 + 2];
    assert!(decoder.decode(&mut input).is_ok());
    let part = |content, flow_controlled, end| {
        let stream = StreamId::new(1).expect("1 is an id");
        Ok(Some(Frame::Data(Data {
            stream,
            content,
            flow_controlled,
            end,
        })))
    };
    assert_eq!(
        decoder.decode(&mut input),
        part(b"ab", Some(6), DataEnd::Nothing)
    );
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!(input, b"");
    // The end does not wait for the padding.
    let mut input: &[u8] = b"c\0";
    assert_eq!(
        decoder.decode(&mut input),
        part(b"c", None, DataEnd::Stream)
    );
    assert_eq!(decoder.decode(&mut input), Ok(None));
    assert_eq!(input, b"");
}

#[test]
fn decoder_knows_when_a_header_block_is_incomplete() {
    let mut decoder = FrameDecoder::new(MAX_FRAME_SIZE);
    let bytes = [empty_settings(), frame(1, 0, 1, b"a"), frame(9, 4, 1, b"b")].concat();
    let mut input = &bytes[..];
    for expected in [false, true, false] {
        assert!(decoder.decode(&mut input).is_ok());
        assert_eq!(decoder.is_in_header_block(), expected);
    }
}
