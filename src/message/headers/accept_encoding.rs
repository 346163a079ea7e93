//! Which codings a client takes content in.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::quality;
use super::quality::Quality;

/// Which of these content codings a client takes at least as gladly as content in none, the best
/// first, and in this order where it likes several alike (RFC 9110 section 12.5.3). Who does not say
/// what it takes gets content in none.
pub(crate) fn wanted<C: Copy, const N: usize>(
    request: &HeaderMap,
    codings: [C; N],
    name: impl Fn(C) -> &'static str,
) -> impl Iterator<Item = C> {
    let plain = of_coding(request, "identity");
    let mut weighed = codings.map(|coding| (of_coding(request, name(coding)), coding));
    weighed.sort_by_key(|(weight, _)| Quality::MAX - weight);
    let wanted = weighed.into_iter();
    wanted.filter_map(move |(weight, coding)| (weight > 0 && weight >= plain).then_some(coding))
}

fn of_coding(request: &HeaderMap, coding: &str) -> Quality {
    let mut of_any = 0;
    for (name, weight) in quality::in_field(request, &ACCEPT_ENCODING) {
        if is_coding(name, coding) {
            return weight;
        }
        if name == "*" {
            of_any = weight;
        }
    }
    of_any
}

/// Whether this name, in any case, is that coding's; `x-gzip` is an old name of gzip (RFC 9110
/// section 8.4.1.3).
pub(crate) fn is_coding(name: &str, coding: &str) -> bool {
    name.eq_ignore_ascii_case(coding) || (coding == "gzip" && name.eq_ignore_ascii_case("x-gzip"))
}
