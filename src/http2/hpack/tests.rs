//! The rules for blocks, and hostile blocks.

use std::ops::ControlFlow;

use http::StatusCode;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Decoder, Encoder, HpackError, huffman, integer};

/// More than the blocks of most tests have.
const MOST: usize = 64 * 1024;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode_up_to(decoder: &mut Decoder, block: &[u8], most: usize) -> Result<Fields, HpackError> {
    let mut fields = Vec::new();
    let result = decoder.decode(block, &mut Vec::new(), most, |field| {
        fields.push((field.name.to_vec(), field.value.to_vec()));
        ControlFlow::<()>::Continue(())
    });
    result.map(|_| fields)
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, HpackError> {
    decode_up_to(decoder, block, MOST)
}

/// Decodes a block on a new connection.
fn decode_first(block: &[u8]) -> Result<Fields, HpackError> {
    decode(&mut Decoder::default(), block)
}

fn field(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.into(), value.into())
}

/// An update of the table's size.
fn update(size: usize) -> Vec<u8> {
    let mut output = Vec::new();
    integer::encode(size, 0x20, 5, &mut output);
    output
}

/// A literal that is added to the table.
fn added(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut output = vec![0x40];
    for text in [name, value] {
        integer::encode(text.len(), 0, 7, &mut output);
        output.extend_from_slice(text);
    }
    output
}

#[test]
fn empty_block_has_no_headers() {
    assert_eq!(decode_first(b""), Ok(Vec::new()));
}

#[test]
fn index_must_be_in_a_table() {
    assert_eq!(decode_first(b"\x80"), Err(HpackError::Index));
    for kind in [&b"\xbe"[..], b"\x7e\x00", b"\x0f\x2f\x00", b"\x1f\x2f\x00"] {
        assert_eq!(decode_first(kind), Err(HpackError::Index), "{kind:x?}");
        let block = [&added(b"a", b"b"), kind].concat();
        assert!(decode_first(&block).is_ok(), "{kind:x?}");
    }
    assert_eq!(
        decode_first(&[&added(b"a", b"b")[..], b"\xbf"].concat()),
        Err(HpackError::Index)
    );
    assert_eq!(
        decode_first(b"\xff\xff\xff\xff\x7f"),
        Err(HpackError::Index)
    );
    assert_eq!(decode_first(&[0xff; 9]), Err(HpackError::Integer));
}

#[test]
fn block_may_not_end_within_a_header() {
    let path = huffman::encode(b"/path");
    let block = [
        update(4096),
        added(b"name", b"value"),
        vec![0x04, 0x80 | path.len() as u8],
        path,
        vec![0xbe],
    ];
    let block = block.concat();
    let fields = [
        field("name", "value"),
        field(":path", "/path"),
        field("name", "value"),
    ];
    assert_eq!(decode_first(&block), Ok(fields.to_vec()));
    let mut whole = 0;
    for end in 0..block.len() {
        match decode_first(&block[..end]) {
            Ok(decoded) => {
                assert_eq!(decoded, fields[..decoded.len()]);
                whole += 1;
            }
            Err(error) => assert_eq!(error, HpackError::Truncated, "{end} bytes"),
        }
    }
    // Before and behind the update, and behind each header except the last.
    assert_eq!(whole, 4);
}

#[test]
fn literals_take_names_from_both_tables() {
    let block = [
        &added(b"a", b"1")[..],
        b"\x04\x02/x\x7e\x012\x0f\x30\x013\x1f\x30\x014\xbe\xbf",
    ];
    let expected = [
        field("a", "1"),
        field(":path", "/x"),
        field("a", "2"),
        field("a", "3"),
        field("a", "4"),
        field("a", "2"),
        field("a", "1"),
    ];
    assert_eq!(decode_first(&block.concat()), Ok(expected.to_vec()));
}

/// The insertion evicts the entry that its name comes from.
#[test]
fn name_of_an_evicted_entry_stays_valid() {
    let mut decoder = Decoder::default();
    let first = [update(40), added(b"name", b"1")].concat();
    assert!(decode(&mut decoder, &first).is_ok());
    assert_eq!(
        decode(&mut decoder, b"\x7e\x04long\xbe"),
        Ok(vec![field("name", "long"), field("name", "long")])
    );
    assert_eq!(
        decode(&mut decoder, b"\x7e\x05large"),
        Ok(vec![field("name", "large")])
    );
    assert_eq!(decode(&mut decoder, b"\xbe"), Err(HpackError::Index));
}

#[test]
fn only_never_indexed_literals_are_marked() {
    let mut marks = Vec::new();
    let block = b"\x82\x04\x01a\x14\x01b\x44\x01c\x10\x01d\x01e\xbe";
    let result = Decoder::default().decode(block, &mut Vec::new(), MOST, |field| {
        marks.push(field.never_indexed);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result, Ok(ControlFlow::Continue(())));
    assert_eq!(marks, [false, false, true, false, true, false]);
}

#[test]
fn table_size_is_at_most_the_limit() {
    for size in [0, 1, 4095, 4096] {
        assert_eq!(decode_first(&update(size)), Ok(Vec::new()));
    }
    for size in [4097, 65_535, 65_536, 65_536 + 100, 1 << 28] {
        assert_eq!(decode_first(&update(size)), Err(HpackError::TableSize));
    }
}

#[test]
fn table_size_changes_only_at_the_start_of_a_block() {
    let mut decoder = Decoder::default();
    for _ in 0..3 {
        let block = [update(0), update(100), b"\x82".to_vec()].concat();
        assert_eq!(
            decode(&mut decoder, &block),
            Ok(vec![field(":method", "GET")])
        );
    }
    let late = [b"\x82".to_vec(), update(100)].concat();
    assert_eq!(decode_first(&late), Err(HpackError::TableSize));
    let third = [update(0), update(1), update(2)].concat();
    assert_eq!(decode_first(&third), Err(HpackError::TableSize));
}

#[test]
fn smaller_table_evicts_and_larger_one_keeps() {
    let mut decoder = Decoder::default();
    let block = [added(b"a", b"1"), added(b"b", b"2")].concat();
    assert!(decode(&mut decoder, &block).is_ok());
    let smaller = [update(34), update(4096), b"\xbe".to_vec()].concat();
    assert_eq!(decode(&mut decoder, &smaller), Ok(vec![field("b", "2")]));
    assert_eq!(decode(&mut decoder, b"\xbf"), Err(HpackError::Index));
}

#[test]
fn reduced_limit_must_be_followed_by_an_update() {
    for (size, expected) in [
        (None, Err(HpackError::TableSize)),
        (Some(101), Err(HpackError::TableSize)),
        (Some(100), Ok(Vec::new())),
        (Some(0), Ok(Vec::new())),
    ] {
        let mut decoder = Decoder::default();
        decoder.set_table_limit(100);
        let block = size.map(update).unwrap_or_default();
        assert_eq!(decode(&mut decoder, &block), expected, "{size:?}");
        if expected.is_ok() {
            assert_eq!(decode(&mut decoder, b""), Ok(Vec::new()));
        }
    }
    // A table that is small enough already need not change, nor may it grow.
    let mut decoder = Decoder::default();
    assert!(decode(&mut decoder, &update(50)).is_ok());
    decoder.set_table_limit(100);
    assert!(decode(&mut decoder, b"\x82").is_ok());
    assert_eq!(
        decode(&mut decoder, &update(101)),
        Err(HpackError::TableSize)
    );
}

#[test]
fn larger_limit_permits_larger_tables() {
    let mut decoder = Decoder::default();
    decoder.set_table_limit(u16::MAX);
    let value = [b'x'; 60_000];
    let block = [update(65_535), added(b"a", &value), b"\xbe".to_vec()].concat();
    let fields = decode_up_to(&mut decoder, &block, 200_000);
    let expected = (b"a".to_vec(), value.to_vec());
    assert_eq!(fields, Ok(vec![expected.clone(), expected]));
}

/// A request may be rejected for its headers, but later blocks refer to them.
#[test]
fn refused_headers_enter_the_table() {
    let mut decoder = Decoder::default();
    let block = [added(b"a", b"1"), added(b"b", b"2"), added(b"c", b"3")].concat();
    let mut seen = Vec::new();
    let result = decoder.decode(&block, &mut Vec::new(), MOST, |field| {
        seen.push(field.name.to_vec());
        match field.name {
            b"b" => ControlFlow::Break("too many"),
            _ => ControlFlow::Continue(()),
        }
    });
    assert_eq!(result, Ok(ControlFlow::Break("too many")));
    assert_eq!(seen, [b"a", b"b"]);
    assert_eq!(
        decode(&mut decoder, b"\xbe\xbf\xc0"),
        Ok(vec![field("c", "3"), field("b", "2"), field("a", "1")])
    );
}

#[test]
fn errors_behind_refused_headers_are_found() {
    let result = Decoder::default().decode(b"\x82\x80", &mut Vec::new(), MOST, |_| {
        ControlFlow::Break(())
    });
    assert_eq!(result, Err(HpackError::Index));
}

/// Each header counts 32 bytes beside its name and value.
#[test]
fn headers_are_decoded_up_to_the_limit_exactly() {
    let value = huffman::encode(b"value");
    let coded = [b"\x0f\x2f".to_vec(), vec![0x80 | value.len() as u8], value].concat();
    for (block, size) in [
        (&b"\x82"[..], 42),
        (b"\x04\x02/x", 39),
        (b"\x00\x01a\x01b", 34),
        (b"\x10\x00\x00", 32),
        (b"\xbe", 34),
        (&coded, 38),
    ] {
        for (most, fits) in [(size - 1, false), (size, true)] {
            let mut decoder = Decoder::default();
            assert!(decode(&mut decoder, &added(b"a", b"b")).is_ok());
            let result = decode_up_to(&mut decoder, block, most);
            match fits {
                true => assert!(result.is_ok(), "{block:x?}: {result:?}"),
                false => assert_eq!(result, Err(HpackError::TooLarge), "{block:x?}"),
            }
        }
    }
}

/// The HPACK bomb: one large entry, and thousands of references of one byte (CVE-2016-6581).
#[test]
fn references_to_a_large_entry_stay_within_the_limit() {
    let mut decoder = Decoder::default();
    let first = added(b"x", &[b'y'; 4000]);
    assert!(decode(&mut decoder, &first).is_ok());
    for refuses in [false, true] {
        let (mut bytes, mut calls) = (0, 0);
        let bomb = [0xbe; 16 * 1024];
        let result = decoder.decode(&bomb, &mut Vec::new(), MOST, |field| {
            bytes += field.size();
            calls += 1;
            match refuses {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert_eq!(result, Err(HpackError::TooLarge));
        assert!(bytes <= MOST);
        assert_eq!(calls, if refuses { 1 } else { MOST / 4033 });
    }
}

/// References to tiny headers cost the most for each byte (CVE-2026-49975). The sink can stop at a
/// number, and the limit bounds the number in any case.
#[test]
fn references_to_tiny_headers_stay_within_the_limit() {
    let mut decoder = Decoder::default();
    assert!(decode(&mut decoder, &added(b"", b"")).is_ok());
    let mut calls = 0;
    let result = decoder.decode(&[0xbe; 16 * 1024], &mut Vec::new(), MOST, |_| {
        calls += 1;
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result, Err(HpackError::TooLarge));
    assert_eq!(calls, MOST / 32);
}

/// Two bytes that insert a copy of a large name each time.
#[test]
fn copied_names_stay_within_the_limit() {
    let mut decoder = Decoder::default();
    assert!(decode(&mut decoder, &added(&[b'n'; 2000], b"")).is_ok());
    let mut scratch = Vec::new();
    let bomb = b"\x7e\x00".repeat(8 * 1024);
    let result = decoder.decode(&bomb, &mut scratch, MOST, |_| ControlFlow::Break(()));
    assert_eq!(result, Err(HpackError::TooLarge));
    assert!(scratch.capacity() <= MOST);
    assert!(decoder.memory() <= 4096 + 128 * 8);
}

/// Huffman code makes text longer, so its end is not known before it is decoded.
#[test]
fn coded_text_is_stored_up_to_the_limit_only() {
    let coded = huffman::encode(&[b'0'; 40_000]);
    let mut block = vec![0x04];
    integer::encode(coded.len(), 0x80, 7, &mut block);
    block.extend(coded);
    for (most, expected) in [
        (1000, Err(HpackError::TooLarge)),
        (40_037, Ok(ControlFlow::Break(()))),
    ] {
        let mut scratch = Vec::new();
        let result =
            Decoder::default().decode(&block, &mut scratch, most, |_| ControlFlow::Break(()));
        assert_eq!(result, expected);
        assert!(scratch.capacity() <= most, "{}", scratch.capacity());
    }
}

/// Lengths are checked before anything is copied or allocated.
#[test]
fn announced_lengths_allocate_nothing() {
    for block in [
        &b"\x00\xff\xff\xff\xff\x7f"[..],
        b"\x00\x7f\xff\xff\xff\x7f",
        b"\x40\x01a\xff\xff\xff\xff\x7f",
    ] {
        let (mut decoder, mut scratch) = (Decoder::default(), Vec::new());
        let result = decoder.decode(block, &mut scratch, MOST, |_| ControlFlow::Break(()));
        assert_eq!(result, Err(HpackError::Truncated));
        assert_eq!((scratch.capacity(), decoder.memory()), (0, 0));
    }
}

proptest! {
    #[test]
    fn encoded_headers_are_decoded(
        status in 100..1000_u16,
        headers in vec(("[a-z-]{0,12}", vec(any::<u8>(), 0..300), any::<bool>()), 0..20),
        common in vec(any::<prop::sample::Index>(), 20),
    ) {
        let status = StatusCode::from_u16(status).expect("it has three digits");
        let mut encoder = Encoder::default();
        let mut decoder = Decoder::default();
        for _ in 0..2 {
            let mut block = Vec::new();
            encoder.begin(&mut block);
            encoder.status(status, &mut block);
            let mut expected = vec![(field(":status", status.as_str()), false)];
            for ((name, value, secret), common) in headers.iter().zip(&common) {
                // Half of the names are in the static table.
                let name = match common.index(2) {
                    0 => name.clone().into_bytes(),
                    _ => super::static_table::get(1 + common.index(61)).expect("it exists").0.to_vec(),
                };
                match secret {
                    true => encoder.secret_field(&name, value, &mut block),
                    false => encoder.field(&name, value, &mut block),
                }
                expected.push(((name, value.clone()), *secret));
            }
            let mut decoded = Vec::new();
            let result = decoder.decode(&block, &mut Vec::new(), MOST, |field| {
                let pair = (field.name.to_vec(), field.value.to_vec());
                decoded.push((pair, field.never_indexed));
                ControlFlow::<()>::Continue(())
            });
            prop_assert_eq!(result, Ok(ControlFlow::Continue(())));
            prop_assert_eq!(decoded, expected);
        }
        prop_assert_eq!(decoder.memory(), 0);
    }

    #[test]
    fn random_blocks_keep_the_bounds(
        blocks in vec(random_block(), 1..8),
        most in prop_oneof![0..200_usize, 0..20_000_usize],
    ) {
        let (mut decoder, mut scratch) = (Decoder::default(), Vec::new());
        for block in blocks {
            let mut size = 0;
            let result = decoder.decode(&block, &mut scratch, most, |field| {
                size += field.size();
                ControlFlow::<()>::Continue(())
            });
            prop_assert!(size <= most);
            prop_assert!(scratch.capacity() <= 2 * most.max(8));
            prop_assert!(decoder.memory() <= 4096 + 128 * 8);
            if result.is_err() {
                break;
            }
        }
    }
}

proptest! {
    /// Huffman code, indices and eviction, by the encoder of another implementation.
    #[test]
    fn blocks_of_another_encoder_are_decoded(
        blocks in vec(vec(("[a-c]{0,2}", vec(any::<u8>(), 0..200), 0..16_u8), 0..40), 1..4),
    ) {
        let mut encoder = httlib_hpack::Encoder::with_dynamic_size(4096);
        let mut decoder = Decoder::default();
        for headers in blocks {
            let (mut block, mut expected) = (Vec::new(), Vec::new());
            for (name, value, flags) in headers {
                let header = (name.into_bytes(), value, flags | httlib_hpack::Encoder::BEST_FORMAT);
                expected.push((header.0.clone(), header.1.clone()));
                encoder.encode(header, &mut block).expect("the header can be encoded");
            }
            prop_assert_eq!(decode(&mut decoder, &block), Ok(expected));
        }
    }

    /// The other decoder accepts more, and panics at some invalid blocks.
    #[test]
    fn valid_blocks_match_another_decoder(blocks in vec(random_block(), 1..8)) {
        let mut other = httlib_hpack::Decoder::with_dynamic_size(4096);
        let mut decoder = Decoder::default();
        for block in blocks {
            let Ok(fields) = decode(&mut decoder, &block) else {
                break;
            };
            let mut expected = Vec::new();
            let result = other.decode(&mut block.clone(), &mut expected);
            prop_assert!(result.is_ok(), "{result:?}");
            let expected = expected.into_iter().map(|(name, value, _)| (name, value));
            prop_assert_eq!(fields, expected.collect::<Fields>());
        }
    }
}

/// Any bytes, or a block that is valid if its indices are in the table.
fn random_block() -> impl Strategy<Value = Vec<u8>> {
    let text = || vec(any::<u8>(), 0..80);
    let coded = |text: &[u8]| {
        let coded = huffman::encode(text);
        let mut output = Vec::new();
        integer::encode(coded.len(), 0x80, 7, &mut output);
        [output, coded].concat()
    };
    let first = (text(), text()).prop_map(|(name, value)| added(&name, &value));
    let header = prop_oneof![
        (0x81..0xc0_u8).prop_map(|first| vec![first]),
        (text(), text()).prop_map(|(name, value)| added(&name, &value)),
        (text(), text()).prop_map(move |(name, value)| {
            [&[0x40], &coded(&name)[..], &coded(&value)].concat()
        }),
        (0x41..0x7f_u8, text()).prop_map(move |(name, value)| [vec![name], coded(&value)].concat()),
    ];
    let updates = vec((300..4097_usize).prop_map(update), 0..3);
    let valid = (updates, vec(first, 2), vec(header, 0..60));
    prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        5 => valid.prop_map(|(updates, first, headers)| {
            [updates.concat(), first.concat(), headers.concat()].concat()
        }),
    ]
}
