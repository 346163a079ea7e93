//! The content codings that a client accepts.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::quality;
use super::quality::Quality;

/// The codings of this list that the client accepts at least as much as unencoded content, best
/// first, in the order of the list for equal qualities (RFC 9110 section 12.5.3). A client without
/// `Accept-Encoding` gets unencoded content.
pub(crate) fn acceptable<C: Copy, const N: usize>(
    request: &HeaderMap,
    codings: [C; N],
    name: impl Fn(C) -> &'static str,
) -> impl Iterator<Item = C> {
    let plain = of_coding(request, "identity");
    let mut weighed = codings.map(|coding| (of_coding(request, name(coding)), coding));
    weighed.sort_by_key(|(weight, _)| Quality::MAX - weight);
    let acceptable = weighed.into_iter();
    acceptable.filter_map(move |(weight, coding)| (weight > 0 && weight >= plain).then_some(coding))
}

fn of_coding(request: &HeaderMap, coding: &str) -> Quality {
    let mut of_any = 0;
    for (name, weight) in quality::in_header(request, &ACCEPT_ENCODING) {
        if is_coding(name, coding) {
            return weight;
        }
        if name == "*" {
            of_any = weight;
        }
    }
    of_any
}

/// Whether this name, in any case, is that of the coding; `x-gzip` is an old name of gzip (RFC 9110
/// section 8.4.1.3).
pub(crate) fn is_coding(name: &str, coding: &str) -> bool {
    name.eq_ignore_ascii_case(coding) || (coding == "gzip" && name.eq_ignore_ascii_case("x-gzip"))
}
