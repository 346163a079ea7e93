//! Converts the path of a request into a file name relative to the root.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::fs::folder::UNFINISHED;

/// The folder that is served although its name begins with a dot (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// The file or folder that a request's path names. Its segments are decoded once, and each is one
/// valid name, so their path never leads outside the root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// Without a slash at either end. Empty for the root.
    pub(crate) path: Cow<'a, [u8]>,
    pub(crate) kind: Kind,
}

/// Whether a path names a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// The path ends with a slash.
    Folder,
}

/// The reason why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathError {
    /// No file can have this name.
    Malformed,
    /// No file with this name is served.
    Missing,
}

/// Whether names that begin with a dot are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dotfiles {
    Hidden,
    Served,
}

impl<'a> Name<'a> {
    /// Parses the part of a request's path after the path at which the files are served.
    pub(crate) fn parse(path: &'a str, dotfiles: Dotfiles) -> Result<Self, PathError> {
        let (path, kind) = match path.strip_prefix('/') {
            // The path at which the files are served, without and with a final slash.
            None if path.is_empty() => return Ok(Self::root(Kind::File)),
            None => return Err(PathError::Missing),
            Some("") => return Ok(Self::root(Kind::Folder)),
            Some(path) => match path.strip_suffix('/') {
                Some(folder) => (folder, Kind::Folder),
                None => (path, Kind::File),
            },
        };
        for (index, segment) in path.split('/').enumerate() {
            let name = Cow::from(percent_decode_str(segment));
            check(&name, index == 0, dotfiles)?;
        }
        Ok(Self {
            path: percent_decode_str(path).into(),
            kind,
        })
    }

    const fn root(kind: Kind) -> Self {
        Self {
            path: Cow::Borrowed(&[]),
            kind,
        }
    }
}

/// Whether a file with this relative path may be served, if it exists.
pub(crate) fn may_be_served(path: &[u8], dotfiles: Dotfiles) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').enumerate();
    segments.all(|(index, segment)| check(segment, index == 0, dotfiles).is_ok())
}

/// Checks one name.
fn check(name: &[u8], is_first: bool, dotfiles: Dotfiles) -> Result<(), PathError> {
    if name.contains(&0) {
        return Err(PathError::Malformed);
    }
    if is_file_name(name) && is_visible(name, is_first, dotfiles) {
        Ok(())
    } else {
        Err(PathError::Missing)
    }
}

/// Whether a file can have this name. A backslash is an ordinary byte: the system does not treat it
/// as a separator, and requests contain it only as `%5C`.
pub(crate) fn is_file_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

/// Whether a name is served and listed. `is_first` is true for names in the root.
pub(crate) fn is_visible(name: &[u8], is_first: bool, dotfiles: Dotfiles) -> bool {
    match name.starts_with(b".") {
        false => true,
        true if name.starts_with(UNFINISHED.as_bytes()) => false,
        true => dotfiles == Dotfiles::Served || (is_first && name == WELL_KNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<(&str, Kind), PathError>) {
        let name = Name::parse(path, Dotfiles::Hidden);
        let name = name.map(|name| {
            let path = String::from_utf8_lossy(&name.path).into_owned();
            (path, name.kind)
        });
        let expected = expected.map(|(path, kind)| (path.to_owned(), kind));
        assert_eq!(name, expected, "{path}");
    }

    #[test]
    fn paths_are_decoded_once() {
        check("/", Ok(("", Kind::Folder)));
        check("", Ok(("", Kind::File)));
        check("/a/b.txt", Ok(("a/b.txt", Kind::File)));
        check("/a/b/", Ok(("a/b", Kind::Folder)));
        check("/%61%20b", Ok(("a b", Kind::File)));
        check("/%25%32%65", Ok(("%2e", Kind::File)));
        check("/%252e%252e/x", Ok(("%2e%2e/x", Kind::File)));
        check("/%252Fetc", Ok(("%2Fetc", Kind::File)));
        check("/100%", Ok(("100%", Kind::File)));
        check("/...", Err(PathError::Missing));
        check("/a..b", Ok(("a..b", Kind::File)));
        check("/a%5C..%5cx", Ok(("a\\..\\x", Kind::File)));
        check("/%5C/", Ok(("\\", Kind::Folder)));
    }

    #[test]
    fn no_path_leads_outside_the_root() {
        for path in [
            "//",
            "//evil",
            "/a//b",
            "/a//",
            "///",
            "/.",
            "/..",
            "/../x",
            "/a/..",
            "/a/../../b",
            "/a/./b",
            "/%2e%2e/x",
            "/.%2E/x",
            "/%2e",
            "/a%2fb",
            "/%2Fetc%2Fpasswd",
            "/..%2f..%2fx",
            "*",
            "x",
            "/%2e%2e%2fx",
        ] {
            check(path, Err(PathError::Missing));
        }
        for path in ["/%00", "/a%00.txt", "/a/b%00/c", "/..%00/"] {
            check(path, Err(PathError::Malformed));
        }
    }

    #[test]
    fn dotfiles_are_hidden_except_well_known() {
        for path in [
            "/.git/config",
            "/a/.env",
            "/%2eenv",
            "/a/.well-known/x",
            "/.well-known2",
        ] {
            check(path, Err(PathError::Missing));
            assert!(Name::parse(path, Dotfiles::Served).is_ok(), "{path}");
        }
        for (path, hidden, served) in [
            (".env", false, true),
            ("a/.env", false, true),
            ("a/.well-known/x", false, true),
            (".well-known/x", true, true),
            ("a/../b", false, false),
        ] {
            let may = |dotfiles| may_be_served(path.as_bytes(), dotfiles);
            assert_eq!(may(Dotfiles::Hidden), hidden, "{path}");
            assert_eq!(may(Dotfiles::Served), served, "{path}");
        }
        let path = "/.well-known/security.txt";
        check(path, Ok((&path[1..], Kind::File)));
        assert!(Name::parse("/..", Dotfiles::Served).is_err());
        let unfinished = format!("/{UNFINISHED}0");
        assert!(Name::parse(&unfinished, Dotfiles::Served).is_err());
    }
}
