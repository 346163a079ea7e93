//! Properties of the frame decoder that hold for any bytes, however they are split.

use httpool::http2::{DataEnd, Error, Frame, FrameDecoder};

use crate::plan;

/// The payload that the decoder accepts, the smallest possible.
const MAX_FRAME_SIZE: u32 = 16_384;

/// The longest frame that the decoder accepts.
const LONGEST: usize = 9 + MAX_FRAME_SIZE as usize;

/// What a frame says. The parts of a DATA frame are joined.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Any frame but DATA, as text.
    Frame(String),
    Data {
        stream: u32,
        content: Vec<u8>,
        flow_controlled: u32,
        end: DataEnd,
    },
    Error(Error),
}

/// The first line says how the rest, which a client sends after the preface, is split.
pub fn check_planned(input: &[u8]) {
    let (plan, bytes) = plan::split(input);
    let sizes: Vec<usize> = plan.iter().copied().map(plan::size).collect();
    check(bytes, &sizes);
}

/// The frames are the same at once, byte by byte, and in parts of these sizes.
pub fn check(bytes: &[u8], sizes: &[usize]) {
    let whole = decode(bytes, &[]);
    for sizes in [&[1], sizes] {
        let split = decode(bytes, sizes);
        assert_eq!(split, whole, "{bytes:x?} split into {sizes:?}");
    }
}

/// Decodes the bytes, received in parts of these sizes, again and again; all at once if there are
/// none.
fn decode(bytes: &[u8], sizes: &[usize]) -> Vec<Seen> {
    let mut decoder = FrameDecoder::new(MAX_FRAME_SIZE);
    let mut seen = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let (mut start, mut end) = (0, 0);
    loop {
        let mut input = &bytes[start..end];
        let before = input.len();
        let result = decoder.decode(&mut input);
        assert!(
            bytes[..end].ends_with(input),
            "input is consumed from its start"
        );
        start += before - input.len();
        match result {
            Ok(Some(frame)) => note(&mut seen, &frame),
            Ok(None) => {
                assert!(input.len() < LONGEST, "a whole frame is decoded");
                if end == bytes.len() {
                    break;
                }
                let size = sizes.next().copied().unwrap_or(bytes.len());
                end = bytes.len().min(end + size);
            }
            Err(error) => {
                seen.push(Seen::Error(error));
                if matches!(error, Error::Connection { .. }) {
                    break;
                }
            }
        }
    }
    // The content of an incomplete DATA frame comes as it arrives.
    if let Some(Seen::Data {
        end: DataEnd::Nothing,
        ..
    }) = seen.last()
    {
        seen.pop();
    }
    seen
}

fn note(seen: &mut Vec<Seen>, frame: &Frame<'_>) {
    let Frame::Data(data) = frame else {
        return seen.push(Seen::Frame(format!("{frame:?}")));
    };
    let Some(length) = data.flow_controlled else {
        let Some(Seen::Data {
            stream,
            content,
            end,
            ..
        }) = seen.last_mut()
        else {
            panic!("no DATA frame has begun: {data:?}");
        };
        assert_eq!((*stream, *end), (data.stream.get(), DataEnd::Nothing));
        assert!(
            !data.content.is_empty() || data.end != DataEnd::Nothing,
            "{data:?}"
        );
        content.extend_from_slice(data.content);
        *end = data.end;
        return;
    };
    seen.push(Seen::Data {
        stream: data.stream.get(),
        content: data.content.to_vec(),
        flow_controlled: length,
        end: data.end,
    });
}
