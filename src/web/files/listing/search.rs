//! Finds names that contain a text, without regard to case.

/// The longest text that is searched, in characters. No name is longer.
const LONGEST: usize = 255;

/// A text that names must contain.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    text: String,
    folded: String,
}

impl Search {
    /// Nothing, if the text is empty.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text).trim().to_owned();
        let folded = fold(&text);
        (!text.is_empty()).then_some(Self { text, folded })
    }

    /// The text as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.text.chars().take(LONGEST + 1).count() <= LONGEST
            && fold(&String::from_utf8_lossy(name)).contains(&self.folded)
    }
}

/// Removes the difference of case. Lower case alone would not do: it makes two letters of `Σ`, and
/// keeps `ß` apart from `SS`.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_count_in_any_language() {
        for (text, name) in [
            ("README", "my readme.md"),
            ("übung", "ÜBUNG 1"),
            ("STRASSE", "Goethestraße"),
            ("straße", "STRASSE"),
            ("σοφος", "ΣΟΦΟΣ"),
            ("ΣΟΦΟΣ", "σοφος"),
            ("тест", "ТЕСТ.txt"),
            (" a b ", "xa by"),
        ] {
            let search = Search::parse(text.as_bytes()).expect("it is not empty");
            assert!(search.matches(name.as_bytes()), "{text} in {name}");
            assert!(!search.matches(b"other"), "{text}");
        }
        assert!(Search::parse(b" \t").is_none());
    }

    #[test]
    fn names_and_texts_may_have_any_bytes() {
        let search = Search::parse(b"X\xff").expect("it is not empty");
        assert!(search.matches(b"ax\xff"));
        assert!(!search.matches(b"ax"));
        let long = Search::parse(&[b'a'; 10_240]).expect("it is not empty");
        assert!(!long.matches(&[b'a'; 255]));
        assert_eq!(long.text().len(), 10_240);
    }
}
