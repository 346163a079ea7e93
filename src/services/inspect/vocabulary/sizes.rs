//! Content of any size: random bytes, and an alphabet whose ranges can be requested.

use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::input::{Pairs, bad, check_size};
use super::random_bytes::RandomBytes;
use super::table::{Shared, Table};
use crate::message::{Body, Problem, Request, Response};
use crate::web::extract::{Path, State};
use crate::web::files::content::Content;
use crate::web::files::respond::{Form, Representation};
use crate::web::files::validators::Validators;

const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The bytes of a chunk by default, as in httpbin.
const CHUNK: u64 = 10 * 1024;

/// The most chunks of a response.
const MAX_CHUNKS: u64 = 100_000;

pub(super) fn add(table: Table) -> Table {
    table
        .get("/bytes/{n}", "n random bytes (?seed=)", whole)
        .get(
            "/stream-bytes/{n}",
            "the same in chunks (?seed= &chunk_size= &duration=)",
            chunked,
        )
        .get(
            "/range/{n}",
            "n bytes, or a part of them by Range (?duration= &chunk_size=)",
            ranges,
        )
}

fn whole(
    State(settings): State<Shared>,
    Path(count): Path<u64>,
    query: Pairs,
) -> Result<Response, Problem> {
    check_size(count, settings.most_bytes())?;
    let bytes = RandomBytes::new(query.random()?);
    Ok(respond(Body::from_sized_reader(bytes, count)))
}

fn chunked(
    State(settings): State<Shared>,
    Path(count): Path<u64>,
    query: Pairs,
) -> Result<Response, Problem> {
    check_size(count, settings.most_bytes())?;
    let pace = Pace::of(&query, &settings, count)?;
    let mut bytes = RandomBytes::new(query.random()?);
    let chunks = pace.chunks(0..count).map(move |(wait, chunk)| {
        // It is bounded by the size that was checked.
        (wait, bytes.next_bytes((chunk.end - chunk.start) as usize))
    });
    Ok(respond(Body::from_schedule(chunks)))
}

fn respond(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, BYTES);
    response
}

fn ranges(
    State(settings): State<Shared>,
    Path(count): Path<u64>,
    query: Pairs,
    request: Request,
) -> Result<Response, Problem> {
    check_size(count, settings.most_bytes())?;
    let content = Alphabet(Pace::of(&query, &settings, count)?);
    let validators = Validators::of_tag(format!("\"range{count}\""));
    let form = Form {
        media_type: BYTES,
        coding: None,
        cache_control: REVALIDATE,
        vary: None,
    };
    Ok(Representation::of_content(content, count, form, validators).respond(&request))
}

/// The sizes and times of chunks.
#[derive(Debug, Clone, Copy)]
struct Pace {
    chunk: u64,
    /// The time of each byte, in seconds.
    per_byte: f64,
}

impl Pace {
    /// `chunk_size` and `duration` of a query for content of this size.
    fn of(query: &Pairs, settings: &Shared, count: u64) -> Result<Self, Problem> {
        let chunk: u64 = query.number("chunk_size", CHUNK)?;
        let duration = query.time("duration", Duration::ZERO, settings.longest_delay())?;
        if chunk == 0 || count.div_ceil(chunk.max(1)) > MAX_CHUNKS {
            return Err(bad(format!(
                "chunk_size={chunk}: at most {MAX_CHUNKS} chunks are allowed"
            )));
        }
        let per_byte = duration.as_secs_f64() / count.max(1) as f64;
        Ok(Self { chunk, per_byte })
    }

    /// The chunks of these bytes, with the wait before each: the first one comes at once.
    fn chunks(
        self,
        bytes: Range<u64>,
    ) -> impl Iterator<Item = (Duration, Range<u64>)> + Send + use<> {
        let mut start = bytes.start;
        std::iter::from_fn(move || {
            let chunk = start..bytes.end.min(start.saturating_add(self.chunk));
            let wait = match start == bytes.start {
                true => Duration::ZERO,
                false => Duration::from_secs_f64(self.per_byte * self.chunk as f64),
            };
            start = chunk.end;
            (chunk.start < chunk.end).then_some((wait, chunk))
        })
    }
}

/// The letters from a to z, again and again.
#[derive(Debug)]
struct Alphabet(Pace);

impl Alphabet {
    fn bytes(range: Range<u64>) -> Bytes {
        range.map(|offset| b'a' + (offset % 26) as u8).collect()
    }
}

impl Content for Alphabet {
    fn part(self, bytes: Range<u64>) -> Body {
        let length = bytes.end - bytes.start;
        let chunks = self.0.chunks(bytes);
        Body::from_sized_schedule(
            chunks.map(|(wait, chunk)| (wait, Self::bytes(chunk))),
            length,
        )
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        buffer.copy_from_slice(&Self::bytes(offset..offset + buffer.len() as u64));
        Ok(buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, expect_bad, get};

    #[test]
    fn seed_repeats_the_bytes() {
        let response = get("/bytes/1000?seed=7");
        assert_eq!(response.header("content-length"), Some("1000"));
        assert_eq!(
            response.header("content-type"),
            Some("application/octet-stream")
        );
        let streamed = get("/stream-bytes/1000?seed=7&chunk_size=7&duration=20ms");
        assert_eq!(streamed.header("transfer-encoding"), Some("chunked"));
        assert_eq!(streamed.bytes(), response.bytes());
        assert_ne!(get("/bytes/1000?seed=8").bytes(), response.bytes());
        assert_ne!(get("/bytes/1000").bytes(), get("/bytes/1000").bytes());
        assert_eq!(get("/bytes/0").bytes(), b"");
        assert_eq!(get("/stream-bytes/0").bytes(), b"");
        assert_eq!(get("/stream-bytes/10485760").bytes().len(), 10_485_760);
    }

    #[test]
    fn ranges_of_the_alphabet() {
        let client = client();
        for (range, status, content_range, content) in [
            ("", 200, None, "abcdefghijklmnopqrstuvwxyzabcd"),
            ("bytes=0-2", 206, Some("bytes 0-2/30"), "abc"),
            ("bytes=-5", 206, Some("bytes 25-29/30"), "zabcd"),
            ("bytes=25-", 206, Some("bytes 25-29/30"), "zabcd"),
            (
                "bytes=30-",
                416,
                Some("bytes */30"),
                "416 Range Not Satisfiable\n",
            ),
            ("lines=1-2", 200, None, "abcdefghijklmnopqrstuvwxyzabcd"),
        ] {
            let mut request = client.get("/range/30?chunk_size=7&duration=5ms");
            if !range.is_empty() {
                request = request.header("range", range);
            }
            let response = request.send();
            assert_eq!(
                (response.status().as_u16(), response.text()),
                (status, content),
                "{range}"
            );
            assert_eq!(response.header("content-range"), content_range, "{range}");
            if status < 400 {
                assert_eq!(response.header("etag"), Some("\"range30\""));
            }
        }
        let several = client
            .get("/range/1000")
            .header("range", "bytes=0-1,500-501")
            .send();
        assert_eq!(several.status(), 206);
        let text = several.text();
        assert!(
            text.contains("content-range: bytes 500-501/1000\r\n\r\ngh\r\n"),
            "{text}"
        );
    }

    #[test]
    fn ranges_depend_on_conditions() {
        let client = client();
        for (name, value, status) in [
            ("if-none-match", "\"range9\"", 304),
            ("if-none-match", "\"other\"", 206),
            ("if-match", "\"other\"", 412),
            ("if-match", "\"range9\"", 206),
            ("if-range", "\"range9\"", 206),
            ("if-range", "\"other\"", 200),
            ("if-range", "Wed, 25 Nov 2026 10:00:00 GMT", 200),
            ("if-modified-since", "Wed, 25 Nov 2026 10:00:00 GMT", 206),
        ] {
            let request = client
                .get("/range/9")
                .header("range", "bytes=1-2")
                .header(name, value);
            assert_eq!(request.send().status(), status, "{name}: {value}");
        }
    }

    #[test]
    fn hostile_sizes_are_rejected() {
        expect_bad(&[
            "/bytes/-1",
            "/bytes/x",
            "/bytes/10485761",
            "/bytes/99999999999999999999",
            "/bytes/1?seed=x",
            "/bytes/1?seed=99999999999999999999",
            "/stream-bytes/10485761",
            "/stream-bytes/1000?chunk_size=0",
            "/stream-bytes/1000?chunk_size=-1",
            "/stream-bytes/1000000?chunk_size=1",
            "/stream-bytes/1?duration=NaN",
            "/range/-1",
            "/range/10485761",
            "/range/1?chunk_size=x",
        ]);
    }
}
