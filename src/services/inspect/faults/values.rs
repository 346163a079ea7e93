//! Sizes and shares in the text of a fault.

/// The units of a size, in bytes.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Parses a number of bytes, for example `65536` or `64KiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size: write 65536, 64KiB or 10MB, for example");
    let unit = SIZE_UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (unit, bytes) = unit.copied().unwrap_or(("", 1));
    let digits = &text[..text.len() - unit.len()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(bytes).ok_or_else(wrong)
}

/// Parses a share of requests, for example `5%` or `0.1%`, as a number from 0 to 100.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is not a share of requests: write 5% or 0.1%, for example");
    let percent = text.strip_suffix('%').and_then(number).ok_or_else(wrong)?;
    match percent <= 100.0 {
        true => Ok(percent),
        false => Err(format!("{text:?} is more than all requests")),
    }
}

/// A decimal number without a sign or an exponent.
pub(super) fn number(text: &str) -> Option<f64> {
    let is_decimal = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("10MB", 10_000_000),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "KiB", "1.5MiB", "-1", "99999999999999GiB", "1 B"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(percent("5%"), Ok(5.0));
        assert_eq!(percent("100%"), Ok(100.0));
        assert_eq!(percent("0.5%"), Ok(0.5));
        for text in ["5", "%", "101%", "-1%", "nan%", "1e1%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
