//! A line for people who watch a terminal.

use std::time::{Duration, SystemTime};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{Timestamp, push, push_escaped};
use crate::message::RequestRecord;

const TIME: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]Z ");

pub(super) fn write_brief(
    record: &RequestRecord<'_>,
    now: SystemTime,
    timestamp: &mut Timestamp,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(timestamp.at(now, TIME).as_bytes());
    let mut parts = record
        .raw_request()
        .request_line()
        .splitn(3, |byte| *byte == b' ');
    match (parts.next(), parts.next()) {
        (Some(method), Some(target)) => {
            push_escaped(method, out);
            out.push(b' ');
            push_escaped(target, out);
        }
        // The request was rejected before its first line was complete.
        _ => out.extend_from_slice(b"- -"),
    }
    push(format_args!(" {} ", record.status().as_str()), out);
    match record.sent() {
        Some(sent) => push(format_args!("{sent} B"), out),
        None => out.push(b'-'),
    }
    push_duration(record.duration(), out);
}

/// Appends a time with three digits at most, as a person compares times.
fn push_duration(time: Duration, out: &mut Vec<u8>) {
    let micros = time.as_micros();
    match micros {
        0..10_000 => push(format_args!(" {:.1} ms", micros as f64 / 1e3), out),
        10_000..1_000_000 => push(format_args!(" {} ms", micros / 1_000), out),
        _ => push(format_args!(" {:.1} s", micros as f64 / 1e6), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_few_digits() {
        #[track_caller]
        fn check(micros: u64, expected: &str) {
            let mut out = Vec::new();
            push_duration(Duration::from_micros(micros), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
        check(0, " 0.0 ms");
        check(449, " 0.4 ms");
        check(9_940, " 9.9 ms");
        check(10_000, " 10 ms");
        check(999_999, " 999 ms");
        check(1_500_000, " 1.5 s");
    }
}
