//! Properties of the scanner of forms that hold for any bytes, however they are split.

use httpool::form_data::{Boundary, Event, Limit, Limits, ScanError, Scanner};

use crate::plan;
use crate::reference_multipart::{self as reference, End, Part};

/// Small, so that they are reached.
const LIMITS: Limits = Limits {
    total: 700,
    parts: 3,
    part: 60,
    part_head: 120,
};

const NO_LIMITS: Limits = Limits {
    total: u64::MAX,
    parts: usize::MAX,
    part: u64::MAX,
    part_head: 1 << 20,
};

/// The result of a scan.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    parts: Vec<Part>,
    /// The last part, if its end was not found.
    cut: Option<Part>,
    end: Result<(), ScanError>,
}

/// Expects the parts that the reference finds in a body with the boundary `b`, and the same result when
/// it is split into pieces of these sizes or byte by byte.
pub fn check(body: &[u8], sizes: &[usize]) {
    let whole = scan(body, &[], NO_LIMITS);
    check_against_reference(body, &whole);
    for limits in [NO_LIMITS, LIMITS] {
        let whole = scan(body, &[], limits);
        for sizes in [sizes, &[1]] {
            let split = scan(body, sizes, limits);
            assert_eq!(split, whole, "{} by {sizes:?}", body.escape_ascii());
        }
    }
}

/// [`check`] with an input whose first line says how the rest is split.
pub fn check_planned(input: &[u8]) {
    let (plan, body) = plan::split(input);
    let sizes: Vec<_> = plan.iter().map(|byte| plan::size(*byte)).collect();
    check(body, &sizes);
}

/// Expects exactly these parts in a body.
pub fn expect(body: &[u8], sizes: &[usize], parts: &[Part]) {
    let outcome = scan(body, sizes, NO_LIMITS);
    assert_eq!(outcome.end, Ok(()), "{}", body.escape_ascii());
    assert_eq!(outcome.parts, parts, "{}", body.escape_ascii());
}

/// Scans a body that arrives in pieces of these sizes, again and again; whole if there are none.
fn scan(body: &[u8], sizes: &[usize], limits: Limits) -> Outcome {
    let boundary = Boundary::new(b"b").expect("the boundary is valid");
    let mut scanner = Scanner::new(&boundary, limits);
    let mut outcome = Outcome {
        parts: Vec::new(),
        cut: None,
        end: Ok(()),
    };
    let whole = [body.len().max(1)];
    let mut sizes = if sizes.is_empty() { &whole } else { sizes }.iter().cycle();
    let (mut start, mut end) = (0, 0);
    loop {
        let is_last = end == body.len();
        let (count, event) = match scanner.next(&body[start..end], is_last) {
            Ok(read) => read,
            Err(error) => {
                outcome.end = Err(error);
                return outcome;
            }
        };
        let read = &body[start..start + count];
        start += count;
        match event {
            Event::Incomplete => {
                assert!(!is_last, "nothing follows");
                assert!(end - start <= scanner.most_unread(), "too much is unread");
                end = body.len().min(end + sizes.next().copied().unwrap_or(1));
            }
            Event::Part(head) => {
                let file_name = head.file_name().map(str::to_owned);
                outcome.cut = Some((head.name().to_owned(), file_name, Vec::new()));
            }
            Event::Content => {
                let (.., content) = outcome.cut.as_mut().expect("content is in a part");
                content.extend_from_slice(read);
                assert!(content.len() as u64 <= limits.part);
            }
            Event::PartEnd => outcome.parts.extend(outcome.cut.take()),
            Event::End => {
                assert_eq!(start, body.len());
                return outcome;
            }
        }
    }
}

fn check_against_reference(body: &[u8], outcome: &Outcome) {
    let form = reference::read(body);
    let shown = body.escape_ascii();
    assert_eq!(outcome.parts, form.parts, "{shown}");
    match (&outcome.cut, &form.cut) {
        (None, None) => {}
        // What may be the beginning of a boundary is held back.
        (Some((name, file, content)), Some((other_name, other_file, whole))) => {
            assert_eq!((name, file), (other_name, other_file), "{shown}");
            assert!(whole.starts_with(content), "{shown}");
        }
        others => panic!("{others:?}: {shown}"),
    }
    let too_many = Limit::PartHeaderLines;
    let agrees = match (&outcome.end, form.end) {
        (Ok(()), End::Complete)
        | (Err(ScanError::Malformed(_)), End::Malformed)
        | (Err(ScanError::TransferEncoding { .. }), End::Encoded) => true,
        (Err(ScanError::TooLarge { limit, .. }), End::TooManyLines) => *limit == too_many,
        _ => false,
    };
    assert!(
        agrees,
        "{:?} should be {:?}: {shown}",
        outcome.end, form.end
    );
}
