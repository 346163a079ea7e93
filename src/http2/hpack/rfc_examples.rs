//! The examples of RFC 7541 appendix C, from C.2 to C.6. Those of C.1 are with the integers.

use std::ops::ControlFlow;

use super::Decoder;

/// A block in hexadecimal digits, its headers, and the entries of the table after it.
struct Example {
    block: &'static str,
    headers: &'static [&'static str],
    table: &'static [&'static str],
    table_size: usize,
}

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits are ASCII");
        u8::from_str_radix(pair, 16).expect("two digits are a byte")
    };
    digits.chunks(2).map(byte).collect()
}

fn text(name: &[u8], value: &[u8]) -> String {
    format!("{}: {}", name.escape_ascii(), value.escape_ascii())
}

/// The headers of a block, each as `name: value`, and whether one is never indexed.
fn decode(decoder: &mut Decoder, block: &[u8]) -> (Vec<String>, bool) {
    let (mut headers, mut never_indexed) = (Vec::new(), false);
    let result = decoder.decode(block, &mut Vec::new(), 4096, |field| {
        headers.push(text(field.name, field.value));
        never_indexed |= field.never_indexed;
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result, Ok(ControlFlow::Continue(())));
    (headers, never_indexed)
}

/// The entries of the table, newest first, as indices name them, and their size in total.
fn table(decoder: &mut Decoder) -> (Vec<String>, usize) {
    let (mut entries, mut size) = (Vec::new(), 0);
    for index in 62.. {
        let block = [0x80 | index];
        let result = decoder.decode(&block, &mut Vec::new(), 4096, |field| {
            entries.push(text(field.name, field.value));
            size += field.size();
            ControlFlow::<()>::Continue(())
        });
        if result.is_err() {
            break;
        }
    }
    (entries, size)
}

/// Decodes the blocks of one connection whose table gets its size by this block.
fn check(set_size: &str, examples: &[Example]) {
    let mut decoder = Decoder::default();
    decode(&mut decoder, &bytes(set_size));
    for example in examples {
        let (headers, never_indexed) = decode(&mut decoder, &bytes(example.block));
        assert_eq!(headers, example.headers);
        assert!(!never_indexed);
        let (entries, size) = table(&mut decoder);
        assert_eq!(entries, example.table);
        assert_eq!(size, example.table_size);
    }
}

/// C.2.1 to C.2.4: each is the only block of its connection.
#[test]
fn header_field_representations() {
    for (block, header, never_indexed, table_size) in [
        (
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            "custom-key: custom-header",
            false,
            55,
        ),
        (
            "040c 2f73 616d 706c 652f 7061 7468",
            ":path: /sample/path",
            false,
            0,
        ),
        (
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            "password: secret",
            true,
            0,
        ),
        ("82", ":method: GET", false, 0),
    ] {
        let mut decoder = Decoder::default();
        let decoded = decode(&mut decoder, &bytes(block));
        assert_eq!(decoded, (vec![header.to_owned()], never_indexed));
        assert_eq!(table(&mut decoder).1, table_size, "{header}");
    }
}

/// C.3.1 to C.3.3, or C.4.1 to C.4.3.
fn check_requests(blocks: [&'static str; 3]) {
    let [first, second, third] = blocks;
    let examples = [
        Example {
            block: first,
            headers: &[
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com",
            ],
            table: &[":authority: www.example.com"],
            table_size: 57,
        },
        Example {
            block: second,
            headers: &[
                ":method: GET",
                ":scheme: http",
                ":path: /",
                ":authority: www.example.com",
                "cache-control: no-cache",
            ],
            table: &["cache-control: no-cache", ":authority: www.example.com"],
            table_size: 110,
        },
        Example {
            block: third,
            headers: &[
                ":method: GET",
                ":scheme: https",
                ":path: /index.html",
                ":authority: www.example.com",
                "custom-key: custom-value",
            ],
            table: &[
                "custom-key: custom-value",
                "cache-control: no-cache",
                ":authority: www.example.com",
            ],
            table_size: 164,
        },
    ];
    check("", &examples);
}

/// C.3.
#[test]
fn requests_without_huffman_code() {
    check_requests([
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ]);
}

/// C.4.
#[test]
fn requests_with_huffman_code() {
    check_requests([
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ]);
}

/// C.5.1 to C.5.3, or C.6.1 to C.6.3. The table has 256 bytes, so entries are evicted.
fn check_responses(blocks: [&'static str; 3]) {
    let [first, second, third] = blocks;
    let examples = [
        Example {
            block: first,
            headers: &[
                ":status: 302",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ],
            table: &[
                "location: https://www.example.com",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "cache-control: private",
                ":status: 302",
            ],
            table_size: 222,
        },
        Example {
            block: second,
            headers: &[
                ":status: 307",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "location: https://www.example.com",
            ],
            table: &[
                ":status: 307",
                "location: https://www.example.com",
                "date: Mon, 21 Oct 2013 20:13:21 GMT",
                "cache-control: private",
            ],
            table_size: 222,
        },
        Example {
            block: third,
            headers: &[
                ":status: 200",
                "cache-control: private",
                "date: Mon, 21 Oct 2013 20:13:22 GMT",
                "location: https://www.example.com",
                "content-encoding: gzip",
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ],
            table: &[
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                "content-encoding: gzip",
                "date: Mon, 21 Oct 2013 20:13:22 GMT",
            ],
            table_size: 215,
        },
    ];
    check("3fe101", &examples);
}

/// C.5.
#[test]
fn responses_without_huffman_code() {
    check_responses([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31",
    ]);
}

/// C.6.
#[test]
fn responses_with_huffman_code() {
    check_responses([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
}
