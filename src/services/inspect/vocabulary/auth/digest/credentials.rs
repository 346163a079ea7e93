//! The parameters of Digest credentials (RFC 7616 section 3.4).

use http::header::{AUTHORIZATION, HeaderMap};

/// The parameters of an `Authorization` header.
pub(super) struct Credentials(Vec<(String, String)>);

impl Credentials {
    /// The parameters, if each of them is there once.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let line = std::str::from_utf8(headers.get(AUTHORIZATION)?.as_bytes()).ok()?;
        let (scheme, mut rest) = line.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let mut all = Self(Vec::new());
        while !rest.trim_start_matches([' ', ',', '\t']).is_empty() {
            let (name, after) = rest.trim_start_matches([' ', ',', '\t']).split_once('=')?;
            let (value, after) = value(after.trim_start())?;
            let name = name.trim().to_ascii_lowercase();
            if all.get(&name).is_some() {
                return None;
            }
            all.0.push((name, value));
            rest = after;
        }
        Some(all)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        Some(value)
    }
}

/// A token or quoted text, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let (mut value, mut characters) = (String::new(), quoted.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}
