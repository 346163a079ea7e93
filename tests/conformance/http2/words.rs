//! Splits a line of a record into words.

/// A word of a line: a keyword, a number, bytes, or a name with its value.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    /// The word as it is written.
    pub(crate) source: String,
    /// The bytes, or those before the first `=` outside of quotes.
    pub(crate) name: Vec<u8>,
    /// The bytes after it.
    pub(crate) value: Option<Vec<u8>>,
}

/// The words of a line. They end at whitespace outside of quotes.
pub(crate) fn words(line: &str) -> Vec<Word> {
    let mut scanner = Scanner {
        rest: line.trim_start(),
    };
    let mut found = Vec::new();
    while !scanner.rest.is_empty() {
        found.push(scanner.word());
        scanner.rest = scanner.rest.trim_start();
    }
    found
}

impl Word {
    /// The bytes of `"text"` or `hex:0a0b`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self.source.strip_prefix("hex:") {
            Some(digits) => hex(digits),
            None if self.source.starts_with('"') && self.value.is_none() => self.name.clone(),
            None => panic!("neither quoted bytes nor hex: {}", self.source),
        }
    }

    pub(crate) fn number(&self) -> u32 {
        number(&self.source)
    }

    /// The `inner` of `name(inner)`.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        let inner = self.source.strip_prefix(name)?.strip_prefix('(')?;
        inner.strip_suffix(')')
    }
}

/// A decimal number, or a hexadecimal one after `0x`.
pub(crate) fn number(text: &str) -> u32 {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("not a number: {text}"))
}

struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn word(&mut self) -> Word {
        let begin = self.rest;
        let (mut name, mut bytes) = (None, Vec::new());
        while let Some(next) = self.next_if(|next| !next.is_whitespace()) {
            match next {
                '"' => bytes.extend(self.quoted()),
                '=' if name.is_none() => name = Some(std::mem::take(&mut bytes)),
                other => bytes.extend(other.to_string().bytes()),
            }
        }
        let source = begin[..begin.len() - self.rest.len()].to_owned();
        let (name, value) = match name {
            Some(name) => (name, Some(bytes)),
            None => (bytes, None),
        };
        Word {
            source,
            name,
            value,
        }
    }

    /// The bytes up to the closing quote, as often as the `*100` behind it says.
    fn quoted(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match self.next_if(|_| true) {
                Some('"') => break,
                Some('\\') => bytes.push(self.escape()),
                Some(other) => bytes.extend(other.to_string().bytes()),
                None => panic!("a quote is not closed"),
            }
        }
        if self.next_if(|next| next == '*').is_none() {
            return bytes;
        }
        let mut digits = String::new();
        while let Some(digit) = self.next_if(|next| next.is_ascii_digit()) {
            digits.push(digit);
        }
        bytes.repeat(digits.parse().expect("digits follow the asterisk"))
    }

    fn escape(&mut self) -> u8 {
        let escaped = self.next_if(|_| true);
        match escaped.expect("a backslash is followed by its escape") {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            'x' => {
                let (digits, rest) = self.rest.split_at(2);
                self.rest = rest;
                hex(digits)[0]
            }
            literal @ ('\\' | '"') => literal as u8,
            other => panic!("unknown escape: \\{other}"),
        }
    }

    fn next_if(&mut self, accept: impl Fn(char) -> bool) -> Option<char> {
        let next = self.rest.chars().next().filter(|next| accept(*next))?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| {
        let pair = str::from_utf8(pair).expect("digits are ASCII");
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("not hexadecimal: {digits}"))
    };
    assert!(digits.len().is_multiple_of(2), "half a byte: {digits}");
    digits.as_bytes().chunks(2).map(byte).collect()
}
