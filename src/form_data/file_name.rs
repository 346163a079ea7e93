//! File names of clients as names that are never paths.

/// Most bytes of a safe name. File systems allow 255, which leaves room for what a program adds.
const MOST: usize = 200;

/// Longest extension that is kept when a name is cut, with its dot.
const MOST_OF_EXTENSION: usize = 20;

/// Names that Windows takes for devices, with any extension.
const DEVICES: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// The rules are those that [`PartHead::safe_file_name`](super::PartHead::safe_file_name) lists.
pub(super) fn safe(file_name: &str) -> Option<String> {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter_map(replacement).collect();
    let name = name.trim_start_matches(['.', '-', ' ']);
    let name = shorten(trim_end(name));
    if name.is_empty() {
        return None;
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let is_device = DEVICES
        .iter()
        .any(|device| device.eq_ignore_ascii_case(stem));
    Some(match is_device {
        true => format!("_{name}"),
        false => name,
    })
}

fn trim_end(name: &str) -> &str {
    name.trim_end_matches(['.', ' '])
}

/// The replacement of a character in a safe name. `None` removes the character.
fn replacement(character: char) -> Option<char> {
    match character {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some('_'),
        // Characters without a shape: marks of direction, spaces without width, line separators, tags.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e01ef}' => None,
        _ if character.is_control() => None,
        _ if character.is_whitespace() => Some(' '),
        _ => Some(character),
    }
}

/// Cuts the stem of a long name.
fn shorten(name: &str) -> String {
    if name.len() <= MOST {
        return name.to_owned();
    }
    let extension = match name.rfind('.') {
        Some(dot) if name.len() - dot <= MOST_OF_EXTENSION => &name[dot..],
        _ => "",
    };
    let mut end = MOST - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    [trim_end(&name[..end]), extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file_name: &str, expected: &str) {
        assert_eq!(safe(file_name).as_deref(), Some(expected), "{file_name:?}");
    }

    #[test]
    fn names_without_risk_are_kept() {
        for name in [
            "a.txt",
            "Bericht 7 (neu).pdf",
            "名前.txt",
            "a.tar.gz",
            "_x",
            "é",
            "a'b",
        ] {
            check(name, name);
        }
    }

    #[test]
    fn paths_lose_their_folders() {
        check("../../etc/passwd", "passwd");
        check("/etc/passwd", "passwd");
        check(r"C:\Users\me\a.txt", "a.txt");
        check(r"..\a/b\c.txt", "c.txt");
        check("C:a.txt", "C_a.txt");
        check("a:stream", "a_stream");
    }

    #[test]
    fn devices_are_found_in_shortened_names() {
        check(&format!("CON{}x", " ".repeat(MOST)), "_CON");
        check("a\u{ad}b\u{e0041}.txt", "ab.txt");
    }

    #[test]
    fn names_that_mean_something_are_changed() {
        check(".htaccess", "htaccess");
        check("...a", "a");
        check("-rf", "rf");
        check(" -.-a", "a");
        check("a. .", "a");
        check("con", "_con");
        check("NUL.txt", "_NUL.txt");
        check("Com1 .tar.gz", "_Com1 .tar.gz");
        check("console", "console");
        check("a<b>|c?*.txt", "a_b__c__.txt");
    }

    #[test]
    fn characters_without_a_shape_are_removed() {
        check("a\0b.txt", "ab.txt");
        check("a\r\nb\u{7f}\u{85}.txt", "ab.txt");
        check("photo\u{202e}gpj.exe", "photogpj.exe");
        check("\u{2066}\u{feff}\u{200b}.a", "a");
        check("a\u{2028}b\u{a0}c\u{3000}d", "ab c d");
    }

    #[test]
    fn nothing_may_be_left() {
        for name in [
            "", ".", "..", "/", "a/", "\\", "...", "- -", "\0", "\u{202e}", "a/..",
        ] {
            assert_eq!(safe(name), None, "{name:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = "é".repeat(300);
        check(&long, &"é".repeat(MOST / 2));
        check(&format!("{long}.jpeg"), &format!("{}.jpeg", "é".repeat(97)));
        check(&format!("a.{long}"), &format!("a.{}", "é".repeat(99)));
        check(
            &format!("{}. {}.txt", "a".repeat(194), "b".repeat(9)),
            &format!("{}.txt", "a".repeat(194)),
        );
    }
}
