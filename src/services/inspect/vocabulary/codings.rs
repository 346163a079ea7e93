//! Content codings, whatever the client accepts.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use http::header::{CONTENT_ENCODING, HeaderValue};

use super::document;
use super::table::Table;
use crate::message::Response;
use crate::services::inspect::captured::Captured;
use crate::web::content_coding::ContentCoding;

pub(super) fn add(table: Table) -> Table {
    table
        .get("/gzip", "content in gzip", |captured| {
            respond(&captured, Coding::Gzip)
        })
        .get("/deflate", "content in deflate (zlib)", |captured| {
            respond(&captured, Coding::Deflate)
        })
        .get("/brotli", "content in Brotli", |captured| {
            respond(&captured, Coding::Brotli)
        })
        .get("/zstd", "content in Zstandard", |captured| {
            respond(&captured, Coding::Zstd)
        })
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The member of the document that is true.
    fn member(self) -> &'static str {
        match self {
            Self::Gzip => "gzipped",
            Self::Deflate => "deflated",
            Self::Brotli => "brotli",
            Self::Zstd => "zstd",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn encode(self, content: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => ContentCoding::Gzip.compress(content),
            Self::Brotli => ContentCoding::Brotli.compress(content),
            Self::Zstd => ContentCoding::Zstd.compress(content),
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(content)?;
                encoder.finish()
            }
        }
    }
}

fn respond(captured: &Captured, coding: Coding) -> io::Result<Response> {
    let mut members = document::of_origin(captured);
    members.insert(coding.member().into(), true.into());
    let mut response = document::respond(members);
    let content = coding.encode(response.body().as_bytes())?;
    *response.body_mut() = content.into();
    response
        .headers_mut()
        .insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;
    use serde_json::Value;

    use super::super::tests::get;
    use super::*;

    #[test]
    fn content_is_encoded() {
        for (path, name, member) in [
            ("/gzip", "gzip", "gzipped"),
            ("/deflate", "deflate", "deflated"),
            ("/brotli", "br", "brotli"),
            ("/zstd", "zstd", "zstd"),
        ] {
            let response = get(path);
            assert_eq!(response.header("content-encoding"), Some(name));
            let content = response.bytes().to_vec();
            let mut text = String::new();
            let read = match ContentCoding::from_name(name) {
                Some(coding) => coding.decode(&content[..]).read_to_string(&mut text),
                None => ZlibDecoder::new(&content[..]).read_to_string(&mut text),
            };
            read.expect("the content can be decoded");
            let document: Value = serde_json::from_str(&text).expect("it is JSON");
            assert_eq!(document[member], true, "{document}");
            assert_eq!(document["method"], "GET");
            assert_eq!(document["headers"]["Host"], "localhost");
        }
    }
}
