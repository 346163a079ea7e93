//! Media types of files, by their extensions.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use http::HeaderValue;

use crate::web::content_coding::ContentCoding;

/// The type of files whose extension is unknown.
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The types of most files on the web, which are found without a search.
const COMMON: [(&str, &str); 7] = [
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("svg", "image/svg+xml"),
    ("webp", "image/webp"),
];

/// Extensions for which mime_guess has another format, an outdated type or none.
///
/// A `.ts` is a stream segment (RFC 8216), which players refuse under another type. TypeScript
/// sources have this extension too, but no browser runs those.
const CORRECTIONS: [(&str, &str); 18] = [
    ("cjs", "text/javascript"),
    ("deb", "application/vnd.debian.binary-package"),
    ("dtd", "application/xml-dtd"),
    ("m2t", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4s", "video/iso.segment"),
    ("map", "application/json"),
    ("mts", "video/mp2t"),
    ("obj", "model/obj"),
    ("otf", "font/otf"),
    ("rpm", "application/x-rpm"),
    ("stl", "model/stl"),
    ("tgz", "application/gzip"),
    ("ts", "video/mp2t"),
    ("udeb", "application/vnd.debian.binary-package"),
    ("woff", "font/woff"),
    ("wrz", "model/vrml"),
];

/// `text/` types that are XML, apart from `text/xml`.
const XML_TYPES: [&str; 5] = [
    "text/mathml",
    "text/x-ms-contact",
    "text/x-ms-group",
    "text/x-opml",
    "text/x-suse-ymp",
];

/// Extensions of gzip-compressed formats. Their media type is that of the uncompressed content.
const GZIPPED: [&str; 5] = ["svgz", "wrz", "x3dbz", "x3dvz", "x3dz"];

/// The media type and coding of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentType {
    pub(crate) media_type: HeaderValue,
    /// The coding that the format itself has.
    pub(crate) coding: Option<ContentCoding>,
}

/// Media types that a program has set for extensions. They take precedence over the known ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct MediaTypes(Vec<(String, HeaderValue)>);

impl MediaTypes {
    /// Sets the media type of an extension, given with or without its dot.
    pub(crate) fn set(&mut self, extension: &str, media_type: HeaderValue) {
        let extension = extension.strip_prefix('.').unwrap_or(extension);
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(extension));
        self.0.push((extension.to_owned(), media_type));
    }

    /// The media type and coding of a file with this name.
    pub(crate) fn content_type_of(&self, path: &[u8]) -> ContentType {
        let extension = Path::new(OsStr::from_bytes(path)).extension();
        let extension = extension.and_then(OsStr::to_str).unwrap_or_default();
        let is = |name: &str| name.eq_ignore_ascii_case(extension);
        if let Some((_, media_type)) = self.0.iter().find(|(known, _)| is(known)) {
            return ContentType {
                media_type: media_type.clone(),
                coding: None,
            };
        }
        if let Some((_, media_type)) = COMMON.iter().find(|(known, _)| *known == extension) {
            return ContentType {
                media_type: HeaderValue::from_static(media_type),
                coding: None,
            };
        }
        let corrected = CORRECTIONS.iter().find(|(known, _)| is(known));
        let media_type = match corrected {
            Some((_, media_type)) => Some(*media_type),
            None => mime_guess::from_ext(extension).first_raw(),
        };
        ContentType {
            media_type: media_type.map_or(UNKNOWN, content_type),
            coding: GZIPPED
                .iter()
                .any(|name| is(name))
                .then_some(ContentCoding::Gzip),
        }
    }
}

/// The value of `Content-Type`. Text is UTF-8: without a `charset`, a browser guesses by the
/// reader's locale. An XML document declares its own encoding, which a `charset` would override
/// (RFC 7303 section 3).
fn content_type(media_type: &'static str) -> HeaderValue {
    match media_type {
        "text/html" => HeaderValue::from_static("text/html; charset=utf-8"),
        "text/css" => HeaderValue::from_static("text/css; charset=utf-8"),
        "text/javascript" | "application/javascript" => {
            HeaderValue::from_static("text/javascript; charset=utf-8")
        }
        text if text.starts_with("text/") && !is_xml(text) => {
            HeaderValue::try_from(format!("{text}; charset=utf-8")).unwrap_or(UNKNOWN)
        }
        other => HeaderValue::from_static(other),
    }
}

fn is_xml(media_type: &str) -> bool {
    media_type.ends_with("/xml") || media_type.ends_with("+xml") || XML_TYPES.contains(&media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: impl AsRef<[u8]>) -> HeaderValue {
        MediaTypes::default()
            .content_type_of(path.as_ref())
            .media_type
    }

    #[test]
    fn media_type_follows_the_extension() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.min.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.cjs", "text/javascript; charset=utf-8"),
            ("STYLE.CSS", "text/css; charset=utf-8"),
            ("notes.txt", "text/plain; charset=utf-8"),
            ("notes.md", "text/markdown; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.js.map", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.woff", "font/woff"),
            ("a.otf", "font/otf"),
            ("a.tar.gz", "application/gzip"),
            ("a.tgz", "application/gzip"),
            ("a.rpm", "application/x-rpm"),
            ("A.RPM", "application/x-rpm"),
            ("a.deb", "application/vnd.debian.binary-package"),
            ("live/0.ts", "video/mp2t"),
            ("live.m3u8", "application/vnd.apple.mpegurl"),
            ("a.stl", "model/stl"),
            ("LICENSE", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
        assert_eq!(of(b"\xff.txt"), "text/plain; charset=utf-8");
        assert_eq!(of(b"a.\xff"), "application/octet-stream");
    }

    #[test]
    fn common_types_are_those_of_the_search() {
        for (extension, media_type) in COMMON {
            let searched = of(format!("a.{}", extension.to_uppercase()));
            assert_eq!(searched, media_type, "{extension}");
            assert_eq!(of(format!("a.{extension}")), media_type);
        }
    }

    #[test]
    fn xml_has_no_charset() {
        for extension in ["xml", "xsl", "xslt", "wsdl", "xsd"] {
            assert_eq!(of(format!("a.{extension}")), "text/xml", "{extension}");
        }
        assert_eq!(of("a.dtd"), "application/xml-dtd");
        for extension in ["mml", "opml", "rng", "rss", "svg", "vml", "xhtml", "ymp"] {
            let media_type = of(format!("a.{extension}"));
            let media_type = media_type.to_str().expect("media types are ASCII");
            assert!(!media_type.contains("charset"), "{media_type}");
        }
    }

    #[test]
    fn compressed_formats_have_their_coding() {
        let types = MediaTypes::default();
        for (path, media_type) in [
            ("a.svgz", "image/svg+xml"),
            ("A.SVGZ", "image/svg+xml"),
            ("a.wrz", "model/vrml"),
        ] {
            let described = types.content_type_of(path.as_bytes());
            assert_eq!(described.media_type, media_type, "{path}");
            assert_eq!(described.coding, Some(ContentCoding::Gzip), "{path}");
        }
        for path in ["a.svg", "a.gz", "a.tgz", "svgz"] {
            assert_eq!(
                types.content_type_of(path.as_bytes()).coding,
                None,
                "{path}"
            );
        }
    }

    #[test]
    fn configured_types_take_precedence() {
        let mut types = MediaTypes::default();
        let plain = HeaderValue::from_static("text/plain");
        types.set("ts", HeaderValue::from_static("x/y"));
        types.set(".TS", plain.clone());
        types.set("svgz", HeaderValue::from_static("application/gzip"));
        assert_eq!(types.content_type_of(b"a.ts").media_type, plain);
        assert_eq!(types.content_type_of(b"a.svgz").coding, None);
        assert_eq!(
            types.content_type_of(b"a.css").media_type,
            "text/css; charset=utf-8"
        );
    }
}
