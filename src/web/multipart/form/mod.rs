//! A whole form as a struct.
//!
//! The text of a form is parsed by the parser of submitted forms ([`Form`](crate::extract::Form)), so
//! both kinds of form fit the same types. A file is a token in that text, by which its field takes the
//! file (`tokens.rs`). Where a file goes, into memory or to a disk, depends on the type of its field,
//! which `fields.rs` finds out before the body is read.

mod fields;
mod tokens;

use std::io::{self, BufRead};

use serde::de::DeserializeOwned;

use self::fields::{Fields, Kind};
use self::tokens::Tokens;
use super::{Multipart, MultipartError, MultipartLimits};
use crate::message::BodyMode;
use crate::web::extract::{
    Consumes, FromRequest, OptionalFromRequest, ParseError, Rejection, RequestContext,
    has_empty_body, parse_form, take_unless,
};

/// The field by which a page says how its texts are encoded (RFC 7578 section 4.6).
const CHARSET: &str = "_charset_";

/// A form with files, parsed into a struct: texts, numbers, booleans, `Option`, `Vec` for a name that
/// occurs several times, and files as [`FileBytes`](super::FileBytes) or [`TempFile`](super::TempFile).
///
/// It must be the last argument of a function. It has the [default limits](super::MultipartLimits);
/// [`Multipart::parse`] has others.
///
/// ```
/// use httpool::Router;
/// use httpool::multipart::{FileBytes, MultipartForm};
///
/// #[derive(serde::Deserialize)]
/// struct Report {
///     title: String,
///     pages: u32,
///     #[serde(default)]
///     is_public: bool,
///     attachments: Vec<FileBytes>,
/// }
///
/// fn add(MultipartForm(report): MultipartForm<Report>) -> String {
///     format!("{} with {} attachments\n", report.title, report.attachments.len())
/// }
///
/// let router: Router = Router::new().post("/reports", add);
/// ```
///
/// Texts are parsed as in a [`Form`](crate::extract::Form), with the same limit of `#[serde(flatten)]`.
/// The type of a field decides, not whether the part has a file name: a file for a text is text if it
/// is UTF-8, and a part without a file name can be a file. A file input without a file counts as
/// missing. Parts whose names are not fields are skipped. If a field does not fit, the response is 422
/// and names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipartForm<T>(
    /// The parsed form.
    pub T,
);

impl<L: MultipartLimits> Multipart<L> {
    /// Receives the whole form and parses it, as [`MultipartForm`] does, within the limits `L`.
    ///
    /// ```
    /// use httpool::Router;
    /// use httpool::multipart::{Multipart, MultipartError, MultipartLimits, TempFile};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Video {
    ///     title: String,
    ///     file: TempFile,
    /// }
    ///
    /// enum Large {}
    ///
    /// impl MultipartLimits for Large {
    ///     const TOTAL: u64 = 8 << 30;
    /// }
    ///
    /// fn add(form: Multipart<Large>) -> Result<String, MultipartError> {
    ///     let video: Video = form.parse()?;
    ///     Ok(format!("{}: {} bytes\n", video.title, video.file.length()))
    /// }
    ///
    /// let router: Router = Router::new().post("/videos", add);
    /// ```
    ///
    /// # Errors
    ///
    /// If the body is malformed, exceeds a limit or does not arrive, if a temporary file can't be
    /// written, or if a field does not fit the type.
    pub fn parse<T: DeserializeOwned>(mut self) -> Result<T, MultipartError> {
        let fields = Fields::of::<T>();
        let (mut text, mut tokens) = (String::new(), Tokens::default());
        while let Some(mut part) = self.next_part()? {
            let name = part.name().to_owned();
            let kind = fields.kind(&name);
            let value = match kind {
                Some(Kind::Text) => part.text()?,
                None if name == CHARSET => part.text()?,
                // The parser decides whether there may be other names.
                None => String::new(),
                Some(_) if part.is_no_file() && part.fill_buf()?.is_empty() => continue,
                Some(Kind::Bytes) => tokens.add(part.into_file_bytes()?),
                Some(Kind::TempFile) => tokens.add(part.into_temp_file()?),
            };
            if name == CHARSET {
                expect_utf_8(&value)?;
            }
            if kind.is_some() || name != CHARSET {
                let before = text.len();
                push_pair(&name, &value, &mut text);
                // The value was counted when it was read.
                let more = text.len() - before - value.len();
                let reserved = self.source.reserve_memory(more);
                reserved.map_err(|error| error.in_part(&name))?;
            }
        }
        tokens
            .offer(|| parse_form(text.as_bytes()))
            .map_err(describe::<T>)
    }
}

/// Texts in another encoding would be misread.
fn expect_utf_8(charset: &str) -> Result<(), MultipartError> {
    match charset.eq_ignore_ascii_case("utf-8") {
        true => Ok(()),
        false => Err(MultipartError::Encoding(
            "the form is not encoded in UTF-8 (`_charset_`), but only that is supported".into(),
        )),
    }
}

fn push_pair(name: &str, value: &str, text: &mut String) {
    if !text.is_empty() {
        text.push('&');
    }
    push_escaped(name, text);
    text.push('=');
    push_escaped(value, text);
}

/// Escapes only what has a meaning for the parser, because the text may be as long as the form.
fn push_escaped(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '%' => text.push_str("%25"),
            '&' => text.push_str("%26"),
            '+' => text.push_str("%2B"),
            '=' => text.push_str("%3D"),
            other => text.push(other),
        }
    }
}

fn describe<T>(error: ParseError) -> MultipartError {
    match error {
        ParseError::Client(reason) | ParseError::Named { reason, .. } => {
            MultipartError::Field(format!("invalid form: {reason}"))
        }
        ParseError::Program(reason) => {
            let argument = std::any::type_name::<T>();
            let reason = format!("a form never fits {argument}: {reason}");
            MultipartError::Io(io::Error::other(reason))
        }
    }
}

impl<S, T: DeserializeOwned> FromRequest<S, Consumes> for MultipartForm<T> {
    const BODY_MODE: BodyMode = <Multipart as FromRequest<S, Consumes>>::BODY_MODE;

    fn from_request(context: &mut RequestContext<'_, S>) -> Result<Self, Rejection> {
        let form: Multipart = Multipart::take(context.request_mut())?;
        Ok(Self(form.parse()?))
    }
}

/// `None` if the body is empty.
impl<S, T: DeserializeOwned> OptionalFromRequest<S, Consumes> for MultipartForm<T> {
    fn optional_from_request(
        context: &mut RequestContext<'_, S>,
    ) -> Result<Option<Self>, Rejection> {
        take_unless(has_empty_body(context), context)
    }
}

#[cfg(test)]
mod tests;
