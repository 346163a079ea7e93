//! Quality values, by which clients rank what they accept (RFC 9110 section 12.4.2).

use http::HeaderMap;
use http::header::HeaderName;

use super::list;

/// From 0 (never) to 1000.
pub(crate) type Quality = u16;

/// The quality of `1`, and of an item without one.
const MAX: Quality = 1000;

/// The items in all lines of this header, without their parameters, with their qualities.
pub(crate) fn in_header<'f>(
    headers: &'f HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'f str, Quality)> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(list::text_items)
        .map(|choice| {
            let mut parts = choice.split(';').map(str::trim);
            (parts.next().unwrap_or_default(), weight(parts))
        })
}

/// The quality in an item's parameters. A malformed one counts as 0.
fn weight<'p>(mut parameters: impl Iterator<Item = &'p str>) -> Quality {
    let weight = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("q").then_some(value)
    });
    weight.map_or(MAX, |weight| parse(weight).unwrap_or(0))
}

/// Parses `0` or `1` and up to three decimals.
fn parse(text: &str) -> Option<Quality> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths: Quality = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn qualities_are_read_from_all_lines() {
        let mut headers = HeaderMap::new();
        for value in ["a;q=0.5, b", "c ; x=y ;Q=0.25"] {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        let found: Vec<_> = in_header(&headers, &ACCEPT).collect();
        assert_eq!(found, [("a", 500), ("b", 1000), ("c", 250)]);
    }

    #[test]
    fn malformed_quality_is_zero() {
        for (text, expected) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.1", Some(100)),
            ("0.001", Some(1)),
            ("1.001", None),
            ("0.0001", None),
            ("2", None),
            ("-0", None),
            ("0.+1", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
