//! From a request's path to the name of a file beneath the root.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The folder that is served although its name begins with a dot (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// What a request's path names: segments that are decoded once and are each the name of something,
/// so that no joining of them leads out of the root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// Without a slash at either end; empty for the root.
    pub(crate) path: Cow<'a, [u8]>,
    pub(crate) kind: Kind,
}

/// What a path says that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// It ends with a slash.
    Folder,
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// No file can have this name.
    Malformed,
    /// There is no such file, whatever the folder holds.
    Missing,
}

/// Whether names that begin with a dot are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dotfiles {
    Hidden,
    Served,
}

impl<'a> Name<'a> {
    /// Reads what is left of a request's path behind where the files are served.
    pub(crate) fn read(path: &'a str, dotfiles: Dotfiles) -> Result<Self, Unnamed> {
        let (path, kind) = match path.strip_prefix('/') {
            // Where the files are served, without a slash and with it.
            None if path.is_empty() => return Ok(Self::root(Kind::File)),
            None => return Err(Unnamed::Missing),
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

/// Whether a file of this name, which is relative, may be served, whether or not there is one.
pub(crate) fn may_be_served(path: &[u8], dotfiles: Dotfiles) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').enumerate();
    segments.all(|(index, segment)| check(segment, index == 0, dotfiles).is_ok())
}

/// Whether something may have this name, as it stands in a folder.
fn check(name: &[u8], is_first: bool, dotfiles: Dotfiles) -> Result<(), Unnamed> {
    if name.contains(&0) {
        return Err(Unnamed::Malformed);
    }
    // A backslash is a byte as any other: nothing takes `%5C` for a slash, and no request has one that
    // is not encoded.
    let is_name = !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/');
    if is_name && is_visible(name, is_first, dotfiles) {
        Ok(())
    } else {
        Err(Unnamed::Missing)
    }
}

/// Whether what has this name is served and listed; `is_first` in the root itself.
pub(crate) fn is_visible(name: &[u8], is_first: bool, dotfiles: Dotfiles) -> bool {
    !name.starts_with(b".") || dotfiles == Dotfiles::Served || (is_first && name == WELL_KNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<(&str, Kind), Unnamed>) {
        let name = Name::read(path, Dotfiles::Hidden);
        let name = name.map(|name| {
            let path = String::from_utf8_lossy(&name.path).into_owned();
            (path, name.kind)
        });
        let expected = expected.map(|(path, kind)| (path.to_owned(), kind));
        assert_eq!(name, expected, "{path}");
    }

    #[test]
    fn a_path_is_decoded_once() {
        check("/", Ok(("", Kind::Folder)));
        check("", Ok(("", Kind::File)));
        check("/a/b.txt", Ok(("a/b.txt", Kind::File)));
        check("/a/b/", Ok(("a/b", Kind::Folder)));
        check("/%61%20b", Ok(("a b", Kind::File)));
        check("/%25%32%65", Ok(("%2e", Kind::File)));
        check("/%252e%252e/x", Ok(("%2e%2e/x", Kind::File)));
        check("/%252Fetc", Ok(("%2Fetc", Kind::File)));
        check("/100%", Ok(("100%", Kind::File)));
        check("/...", Err(Unnamed::Missing));
        check("/a..b", Ok(("a..b", Kind::File)));
        check("/a%5C..%5cx", Ok(("a\\..\\x", Kind::File)));
        check("/%5C/", Ok(("\\", Kind::Folder)));
    }

    #[test]
    fn nothing_leads_out() {
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
            check(path, Err(Unnamed::Missing));
        }
        for path in ["/%00", "/a%00.txt", "/a/b%00/c", "/..%00/"] {
            check(path, Err(Unnamed::Malformed));
        }
    }

    #[test]
    fn names_with_a_dot_are_hidden_but_one() {
        for path in [
            "/.git/config",
            "/a/.env",
            "/%2eenv",
            "/a/.well-known/x",
            "/.well-known2",
        ] {
            check(path, Err(Unnamed::Missing));
            assert!(Name::read(path, Dotfiles::Served).is_ok(), "{path}");
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
        assert!(Name::read("/..", Dotfiles::Served).is_err());
    }
}
