//! Escapes text from clients before it is written to a log.
//!
//! Terminals and editors obey control characters in a log: these move the cursor, or make a line
//! look like another one. Unicode has more control characters than ASCII: the C1 controls, which
//! begin terminal sequences as ESC does, two line separators, and the marks that change the
//! direction of text.
//!
//! ```
//! use httpool::logging::{escape_json, escape_text};
//!
//! let name = "gpj.\u{202e}exe";
//! assert_eq!(escape_text(name), r"gpj.\u{202e}exe");
//!
//! let line = serde_json::to_string(name).expect("a string is valid JSON");
//! assert_eq!(escape_json(&line), r#""gpj.\u202eexe""#);
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns whether this character changes how the text around it is displayed.
///
/// ```
/// use httpool::logging::is_unsafe;
///
/// assert!(is_unsafe('\u{1b}') && is_unsafe('\u{9b}') && is_unsafe('\u{2028}'));
/// assert!(!is_unsafe('a') && !is_unsafe('é') && !is_unsafe('א'));
/// ```
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Escapes text for a log that people read: [unsafe](is_unsafe) characters become for example
/// `\u{202e}`. Line ends and tabs stay.
///
/// ```
/// use httpool::logging::escape_text;
///
/// assert_eq!(escape_text("\u{1b}[31mred\n"), "\\u{1b}[31mred\n");
/// ```
#[must_use]
pub fn escape_text(text: &str) -> Cow<'_, str> {
    let is_escaped = |character| is_unsafe(character) && !matches!(character, '\n' | '\t');
    escape(text, is_escaped, |character, escaped| {
        escaped.extend(character.escape_unicode());
    })
}

/// Escapes JSON for a log: [unsafe](is_unsafe) characters become for example `\u202e`, and the JSON
/// value stays equal. JSON requires escapes only for ASCII control characters, so serializers leave
/// the others.
///
/// ```
/// use httpool::logging::escape_json;
///
/// assert_eq!(escape_json("{\"name\":\"a\u{85}b\"}"), r#"{"name":"a\u0085b"}"#);
/// ```
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // ASCII control characters occur only between values: serializers escape them in strings,
    // except DEL.
    let is_escaped = |character| is_unsafe(character) && character >= '\u{7f}';
    escape(json, is_escaped, push_json_escape)
}

/// Escapes text as the content of a JSON string, without the quotes around it. [Unsafe](is_unsafe)
/// characters are escaped as well as those that JSON requires.
///
/// ```
/// use httpool::logging::escape_json_string;
///
/// assert_eq!(escape_json_string("a \"b\"\n\u{202e}"), r#"a \"b\"\n\u202e"#);
/// ```
#[must_use]
pub fn escape_json_string(text: &str) -> Cow<'_, str> {
    if is_plain_json(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    push_json_string(text, &mut escaped);
    Cow::Owned(escaped)
}

/// Whether these bytes are ASCII that needs no escapes in a JSON string.
pub(crate) fn is_plain_json(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    // Without an early exit, the compiler can check several bytes at once.
    text.iter().fold(true, |plain, byte| plain & is_plain(byte))
}

/// Appends [`escape_json_string`] of the text.
pub(crate) fn push_json_string(text: &str, json: &mut String) {
    if is_plain_json(text.as_bytes()) {
        json.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            _ if is_unsafe(character) => push_json_escape(character, json),
            _ => json.push(character),
        }
    }
}

fn push_json_escape(character: char, json: &mut String) {
    let written = write!(json, "\\u{:04x}", u32::from(character));
    debug_assert!(written.is_ok(), "writing to a String can't fail");
}

fn escape(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    push: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    let Some(first) = text.find(&is_escaped) else {
        return Cow::Borrowed(text);
    };
    let (plain, rest) = text.split_at(first);
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(plain);
    for character in rest.chars() {
        match is_escaped(character) {
            true => push(character, &mut escaped),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C0, DEL, C1, the separators, and every character with the Unicode property `Bidi_Control`.
    const UNSAFE: &str = "\u{0}\u{8}\r\u{1b}\u{1f}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\
                          \u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\
                          \u{2068}\u{2069}";

    #[test]
    fn no_unsafe_character_is_left_in_text() {
        let escaped = escape_text(UNSAFE);
        assert!(
            escaped.bytes().all(|byte| byte.is_ascii_graphic()),
            "{escaped}"
        );
        for safe in ["", "a\tb\n", "é א ü 漢 \\ \"", "\u{200d}\u{feff}"] {
            assert!(matches!(escape_text(safe), Cow::Borrowed(same) if same == safe));
        }
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let before = format!(
            "{{\n\t\"{}\": 1}}",
            UNSAFE.trim_start_matches(|char| char < '\u{7f}')
        );
        let escaped = escape_json(&before);
        assert!(
            escaped.is_ascii() && !escaped.contains('\u{7f}'),
            "{escaped}"
        );
        assert!(escaped.contains(r"\u007f\u0080\u0085") && escaped.starts_with("{\n\t"));
        assert_eq!(escape_json(&escaped), escaped);
    }

    #[test]
    fn json_strings_keep_their_value() {
        for text in [UNSAFE, "a \"b\" \\ /\n\t", "é א ü 漢 \u{200d}", "plain"] {
            let escaped = escape_json_string(text);
            assert!(!escaped.contains(is_unsafe), "{escaped}");
            let value = serde_json::from_str::<String>(&format!("\"{escaped}\""));
            assert_eq!(value.expect("the string is JSON"), text);
        }
        assert!(matches!(escape_json_string("plain"), Cow::Borrowed(_)));
    }
}
