//! Encoders and decoder agree, and no bytes make the decoder panic.

use proptest::prelude::*;

use super::*;
use crate::http2::{HeaderBlocks, OurSettings, PeerSettings};

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Streams of a client.
fn streams() -> impl Strategy<Value = StreamId> {
    (0_u32..0x4000_0000).prop_filter_map("0 is no stream", |half| StreamId::new(half * 2 + 1))
}

fn codes() -> impl Strategy<Value = ErrorCode> {
    prop::sample::select(&ErrorCode::ALL[..])
}

/// A frame as an encoder writes it, with what the decoder must show.
fn frames() -> impl Strategy<Value = (Vec<u8>, String)> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    prop_oneof![
        (streams(), bytes(), any::<bool>()).prop_map(move |(stream, content, end)| {
            let length = content.len() as u32;
            let mut out = written(&|out| write_data_head(stream, length, end, out));
            out.extend_from_slice(&content);
            let end = if end { " END_STREAM" } else { "" };
            let shown = format!("DATA {stream} of {length} '{}'{end}", text(&content));
            (out, shown)
        }),
        (streams(), codes()).prop_map(move |(stream, code)| {
            let out = written(&|out| write_rst_stream(stream, code, out));
            (out, format!("RST_STREAM {stream} {code}"))
        }),
        (any::<[u8; 8]>(), any::<bool>()).prop_map(move |(payload, is_ack)| match is_ack {
            true => (
                written(&|out| write_ping_ack(payload, out)),
                format!("PING ACK {}", text(&payload)),
            ),
            false => (
                written(&|out| write_ping(payload, out)),
                format!("PING {}", text(&payload)),
            ),
        }),
        (prop::option::of(streams()), codes(), bytes()).prop_map(move |(last, code, debug)| {
            let out = written(&|out| write_goaway(last, code, &debug, out));
            let last = last.map_or(0, StreamId::get);
            (out, format!("GOAWAY {last} {code} '{}'", text(&debug)))
        }),
        (prop::option::of(streams()), 1_u32..=0x7fff_ffff).prop_map(move |(stream, increment)| {
            let increment = NonZeroU32::new(increment).expect("it is at least 1");
            let out = written(&|out| write_window_update(stream, increment, out));
            let stream = stream.map_or(0, StreamId::get);
            (out, format!("WINDOW_UPDATE {stream} {increment}"))
        }),
        Just((written(&write_settings_ack), "SETTINGS ACK".to_owned())),
    ]
}

/// Bytes of frames that are almost right: each header may be any, each length is small.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..20);
    let one = (
        0_u8..12,
        any::<u8>(),
        0_u32..5,
        payload,
        prop::option::weighted(0.1, 0_u32..40),
    );
    let frame = one.prop_map(|(kind, flags, stream, payload, lie)| {
        let mut bytes = frame(kind, flags, stream, &payload);
        if let Some(length) = lie {
            bytes[..3].copy_from_slice(&length.to_be_bytes()[1..]);
        }
        bytes
    });
    prop::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

/// The parts between these split points.
fn parts<'a>(bytes: &'a [u8], splits: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = splits
        .iter()
        .map(|split| split.index(bytes.len() + 1))
        .collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn decoder_reads_what_encoders_write(
        frames in prop::collection::vec(frames(), 0..8),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let (written, shown): (Vec<_>, Vec<_>) = frames.into_iter().unzip();
        let bytes = [empty_settings(), written.concat()].concat();
        let outcome = run(parts(&bytes, &splits));
        prop_assert_eq!(&outcome.shown[1..], shown);
    }

    #[test]
    fn outcome_does_not_depend_on_splits(
        bytes in hostile(),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = [empty_settings(), bytes].concat();
        let whole = run([&bytes[..]]);
        let split = run(parts(&bytes, &splits));
        prop_assert_eq!(whole.shown, split.shown);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        run([&bytes[..]]);
        run([&empty_settings()[..], &bytes[..]]);
    }

    #[test]
    fn header_blocks_survive_the_split_into_frames(
        block in prop::collection::vec(any::<u8>(), 0..400),
        stream in streams(),
        end_stream in any::<bool>(),
        max_frame_size in 50_u32..500,
    ) {
        let mut bytes = empty_settings();
        write_headers(stream, &block, end_stream, max_frame_size, &mut bytes);
        let mut decoder = FrameDecoder::new(MAX_FRAME_SIZE);
        let mut blocks = HeaderBlocks::new(block.len());
        let mut input = &bytes[..];
        let mut assembled = None;
        while let Some(frame) = decoder.decode(&mut input).expect("the frames are valid") {
            prop_assert!(assembled.is_none());
            assembled = match frame {
                Frame::Headers(headers) => blocks.headers(headers),
                Frame::Continuation(continuation) => blocks.continuation(continuation),
                _ => continue,
            }
            .expect("the block is within the limit");
        }
        let assembled = assembled.expect("the block is whole");
        prop_assert_eq!(assembled.stream, stream);
        prop_assert_eq!(assembled.end_stream, end_stream);
        prop_assert_eq!(&*assembled.encoded, &block[..]);
    }

    /// A client that is written like us understands our settings.
    #[test]
    fn settings_survive_a_round_trip(
        header_table_size in any::<u32>(),
        initial_window in any::<u32>(),
        max_frame_size in any::<u32>(),
        max_header_list_size in any::<u32>(),
    ) {
        let ours = OurSettings {
            header_table_size,
            initial_window,
            max_frame_size,
            max_header_list_size,
            max_concurrent_streams: 100,
            enable_connect_protocol: 1,
            no_rfc7540_priorities: 1,
        };
        let mut bytes = Vec::new();
        write_settings(&ours, &mut bytes);
        let mut input = &bytes[..];
        let frame = FrameDecoder::new(MAX_FRAME_SIZE).decode(&mut input);
        let Ok(Some(Frame::Settings(entries))) = frame else {
            panic!("{frame:?}");
        };
        let mut peer = PeerSettings::default();
        prop_assert!(peer.apply(entries).is_ok());
        let ours = ours.in_range();
        prop_assert_eq!(peer.header_table_size, ours.header_table_size);
        prop_assert_eq!(peer.initial_window, ours.initial_window);
        prop_assert_eq!(peer.max_frame_size, ours.max_frame_size);
        prop_assert_eq!(peer.max_header_list_size.unwrap_or(u32::MAX), ours.max_header_list_size);
    }
}
