//! Content of many types: pages, documents, images, and what is made of a value.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use serde_json::json;

use super::document;
use super::input::{Pairs, bad, check_size};
use super::redirects::found;
use super::table::{Shared, Table};
use crate::message::headers::media_type::preferred;
use crate::message::{Body, Html, IntoResponse, Problem, Response};
use crate::web::extract::{Path, State};

/// The most links of a page.
const MAX_LINKS: u32 = 256;

/// Lets a form be sent to this server, and nothing else.
const FORM_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'self'");

/// Lets links of a page be followed.
const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'");

/// The bytes of this file, with the media type.
macro_rules! sample {
    ($media_type:literal, $file:literal) => {
        || typed($media_type, &include_bytes!($file)[..])
    };
}

pub(super) fn add(table: Table) -> Table {
    table
        .get(
            "/html",
            "a page",
            sample!("text/html; charset=utf-8", "samples/page.html"),
        )
        .get(
            "/xml",
            "a document in XML",
            sample!("application/xml", "samples/document.xml"),
        )
        .get(
            "/json",
            "a document in JSON",
            sample!("application/json", "samples/document.json"),
        )
        .get("/robots.txt", "rules that forbid /deny to robots", robots)
        .get("/deny", "what robots must not get", deny)
        .get(
            "/encoding/utf8",
            "a page with characters of one to four bytes",
            sample!("text/html; charset=utf-8", "samples/utf8.html"),
        )
        .get("/image", "an image of the type that Accept prefers", image)
        .get(
            "/image/png",
            "an image",
            sample!("image/png", "images/image.png"),
        )
        .get(
            "/image/jpeg",
            "an image",
            sample!("image/jpeg", "images/image.jpeg"),
        )
        .get(
            "/image/webp",
            "an image",
            sample!("image/webp", "images/image.webp"),
        )
        .get(
            "/image/svg",
            "an image",
            sample!("image/svg+xml", "images/image.svg"),
        )
        .get("/forms/post", "a form that is sent to /post", form)
        .get(
            "/links/{n}",
            "a redirect to the first of n pages that link to each other",
            first_link,
        )
        .get("/links/{n}/{offset}", "one of these pages", links)
        .get("/uuid", "a random UUID (?seed=)", uuid)
        .get(
            "/base64/{value}",
            "the text that this Base64 encodes",
            decode,
        )
        .get("/base64/decode/{value}", "the same", decode)
        .get("/base64/encode/{value}", "this text in Base64", encode)
}

fn typed(media_type: &'static str, content: &'static [u8]) -> Response {
    let mut response = Response::new(Body::from(content));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn robots() -> &'static str {
    "User-agent: *\nDisallow: /deny\n"
}

fn deny() -> &'static str {
    "Robots that heed /robots.txt never see this.\n"
}

fn image(headers: HeaderMap) -> Result<Response, Problem> {
    type Image = fn() -> Response;
    let offers: [(Image, &[&str]); 4] = [
        (sample!("image/png", "images/image.png"), &["image/png"]),
        (sample!("image/webp", "images/image.webp"), &["image/webp"]),
        (
            sample!("image/svg+xml", "images/image.svg"),
            &["image/svg+xml"],
        ),
        (sample!("image/jpeg", "images/image.jpeg"), &["image/jpeg"]),
    ];
    if !headers.contains_key(http::header::ACCEPT) {
        return Ok(offers[0].0());
    }
    let image = preferred(&headers, &offers).ok_or_else(|| {
        let detail = "there are images of the types png, jpeg, webp and svg+xml";
        Problem::new(StatusCode::NOT_ACCEPTABLE).detail(detail)
    })?;
    Ok(image())
}

fn form() -> Response {
    with_policy(
        Html(include_str!("samples/form.html")).into_response(),
        FORM_POLICY,
    )
}

fn with_policy(mut response: Response, policy: HeaderValue) -> Response {
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn first_link(Path(count): Path<u32>) -> Result<Response, Problem> {
    check_links(count)?;
    Ok(found(&format!("/links/{count}/0")))
}

fn links(Path((count, offset)): Path<(u32, u32)>) -> Result<Response, Problem> {
    check_links(count)?;
    let mut page = "<!doctype html>\n<html lang=\"en\">\n<title>Links</title>\n".to_owned();
    for number in 0..count {
        page.push_str(&match number == offset {
            true => format!("{number}\n"),
            false => format!("<a href='/links/{count}/{number}'>{number}</a>\n"),
        });
    }
    Ok(with_policy(Html(page).into_response(), PAGE_POLICY))
}

fn check_links(count: u32) -> Result<(), Problem> {
    match count {
        0..=MAX_LINKS => Ok(()),
        _ => Err(bad(format!("at most {MAX_LINKS} links are allowed"))),
    }
}

/// A UUID of version 4 (RFC 9562 section 5.4).
fn uuid(query: Pairs) -> Result<Response, Problem> {
    const VERSION: u64 = 0x4 << 12;
    const VARIANT: u64 = 0b10 << 62;
    let mut random = query.random()?;
    let high = random.next() & !(0xf << 12) | VERSION;
    let low = random.next() & !(0b11 << 62) | VARIANT;
    let uuid = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    );
    Ok(document::respond(json!({"uuid": uuid})))
}

/// Text as plain text, and other bytes as such.
fn decode(Path(value): Path<String>) -> Result<Response, Problem> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = match value.contains(['-', '_']) {
        true => GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG),
        false => GeneralPurpose::new(&alphabet::STANDARD, CONFIG),
    };
    let content = engine
        .decode(value)
        .map_err(|error| bad(format!("invalid Base64: {error}")))?;
    Ok(match String::from_utf8(content) {
        Ok(text) => text.into_response(),
        Err(error) => error.into_bytes().into_response(),
    })
}

fn encode(State(settings): State<Shared>, Path(value): Path<String>) -> Result<Response, Problem> {
    check_size(value.len() as u64, settings.most_bytes())?;
    let config = GeneralPurposeConfig::new();
    Ok(GeneralPurpose::new(&alphabet::URL_SAFE, config)
        .encode(value)
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{client, expect_bad, get, member};

    #[test]
    fn content_has_its_type() {
        for (path, media_type, start) in [
            ("/html", "text/html; charset=utf-8", &b"<!doctype html>"[..]),
            ("/xml", "application/xml", b"<?xml"),
            ("/json", "application/json", b"{\n"),
            (
                "/robots.txt",
                "text/plain; charset=utf-8",
                b"User-agent: *\nDisallow: /deny",
            ),
            ("/deny", "text/plain; charset=utf-8", b"Robots"),
            (
                "/encoding/utf8",
                "text/html; charset=utf-8",
                b"<!doctype html>",
            ),
            ("/image/png", "image/png", b"\x89PNG\r\n\x1a\n"),
            ("/image/jpeg", "image/jpeg", b"\xff\xd8\xff"),
            ("/image/webp", "image/webp", b"RIFF"),
            ("/image/svg", "image/svg+xml", b"<svg"),
            (
                "/forms/post",
                "text/html; charset=utf-8",
                b"<!doctype html>",
            ),
        ] {
            let response = get(path);
            assert_eq!(response.header("content-type"), Some(media_type), "{path}");
            assert!(response.bytes().starts_with(start), "{path}");
            let policy = response.header("content-security-policy");
            assert!(
                policy.is_some_and(|policy| policy.starts_with("default-src 'none'")),
                "{path}"
            );
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        }
        assert_eq!(member(&get("/json"), "/slideshow/slides/1/type"), "all");
        assert!(get("/encoding/utf8").text().contains('😀'));
    }

    #[test]
    fn image_is_chosen_by_accept() {
        let client = client();
        for (accept, expected) in [
            ("image/webp,image/png;q=0.9", Some("image/webp")),
            ("image/*", Some("image/png")),
            ("*/*", Some("image/png")),
            ("image/svg+xml", Some("image/svg+xml")),
            ("image/jpeg", Some("image/jpeg")),
            ("text/html", None),
        ] {
            let response = client.get("/image").header("accept", accept).send();
            match expected {
                Some(_) => assert_eq!(response.header("content-type"), expected, "{accept}"),
                None => assert_eq!(response.status(), 406),
            }
        }
        assert_eq!(get("/image").header("content-type"), Some("image/png"));
        assert_eq!(
            get("/image/gif").header("content-type"),
            Some("application/json")
        );
    }

    #[test]
    fn pages_link_to_each_other() {
        let response = get("/links/3");
        assert_eq!(response.header("location"), Some("/links/3/0"));
        let page = get("/links/3/1");
        assert!(
            page.text()
                .contains("<a href='/links/3/0'>0</a>\n1\n<a href='/links/3/2'>")
        );
        expect_bad(&[
            "/links/257",
            "/links/-1",
            "/links/x",
            "/links/1/x",
            "/links/99999999999",
        ]);
    }

    #[test]
    fn uuid_has_version_and_variant() {
        let uuid = member(&get("/uuid?seed=1"), "/uuid");
        assert_eq!(uuid, member(&get("/uuid?seed=1"), "/uuid"));
        let random = member(&get("/uuid"), "/uuid");
        for uuid in [uuid, random.clone()] {
            let uuid = uuid.as_str().expect("it is text");
            let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(&uuid[14..15], "4");
            assert!("89ab".contains(&uuid[19..20]), "{uuid}");
        }
        assert_ne!(random, member(&get("/uuid"), "/uuid"));
    }

    #[test]
    fn base64_is_plain_text() {
        for (path, expected) in [
            ("/base64/aGVsbG8=", "hello"),
            ("/base64/aGVsbG8", "hello"),
            ("/base64/decode/PHNjcmlwdD4_", "<script>?"),
            ("/base64/decode/PHNjcmlwdD4%2F", "<script>?"),
            ("/base64/encode/hello", "aGVsbG8="),
        ] {
            let response = get(path);
            assert_eq!(response.text(), expected, "{path}");
            assert_eq!(
                response.header("content-type"),
                Some("text/plain; charset=utf-8")
            );
        }
        let binary = get("/base64/_w");
        assert_eq!(
            binary.header("content-type"),
            Some("application/octet-stream")
        );
        assert_eq!(binary.bytes(), b"\xff");
        expect_bad(&[
            "/base64/a",
            "/base64/%00",
            "/base64/a%20b",
            "/base64/%C3%A9",
            "/base64/a=b",
        ]);
    }
}
