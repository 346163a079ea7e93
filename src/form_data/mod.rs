//! `multipart/form-data` (RFC 7578) on bytes: no socket, clock or thread.
//!
//! [`Scanner`] finds the parts of a body, split anywhere; [`Boundary`] reads the line that separates
//! them from `Content-Type`, and [`PartHead`] the headers of a part.
//!
//! No kept crate does this without an async runtime: `multipart` is archived (RUSTSEC-2023-0050),
//! `mime_multipart` and `formdata` had their last releases in 2021, `multer` and `form-data` are
//! asynchronous, and `form-net` is from October 2026 and has changed its API with each release since.
//!
//! # What is accepted
//!
//! Two readers of one body must find the same fields, so the grammar of RFC 2046 section 5.1.1 is
//! followed, and what it leaves open is an error. These are the decisions:
//!
//! | input | result | reason |
//! |---|---|---|
//! | text before the first boundary, or behind the last one | ignored | RFC 2046: mail programs write a note there |
//! | spaces and tabs behind a boundary | ignored | RFC 2046: gateways add them |
//! | anything else behind a boundary on its line | 400; the part before it is not complete | one reader takes the line for a boundary, another for content |
//! | no line break behind the last boundary | accepted | the grammar allows it, and clients send it |
//! | only the last boundary | no parts | browsers send it for a form without fields |
//! | no last boundary | 400 | the body may have been cut |
//! | a bare LF as the end of a line, a header on two lines | 400 | readers disagree; browsers and curl send neither |
//! | a boundary parameter that is missing, repeated, longer than 70 characters or has others than RFC 2046 allows | 400 | so the search needs little memory |
//! | a boundary with `=`, `/`, `:` or `?` outside of quotes | accepted | old clients forget the quotes, and no other reading is possible |
//! | a part without `Content-Disposition: form-data` and a `name` | 400 | RFC 7578 section 4.2 requires both |
//! | a repeated parameter or `Content-Disposition` | 400 | readers use the first or the last |
//! | `%22`, `%0D` and `%0A` in names | decoded | browsers write quotes and line breaks so; they leave `%` and `\` as they are |
//! | `\"` and `\\` in names | decoded | curl and Go write them |
//! | another backslash | kept | browsers do not escape it |
//! | names that are not UTF-8 | 400 | RFC 7578 section 5.1; another reading would be a guess |
//! | `filename*` beside `filename` | ignored | RFC 7578 section 4.2 forbids it, and .NET sends both |
//! | `filename*` alone | 400 | ignored, it would turn a file into a text |
//! | `Content-Transfer-Encoding` other than `7bit`, `8bit`, `binary` | 415 | RFC 7578 section 4.7; the content would be misread |
//! | `multipart/mixed` inside a part | content | RFC 7578 section 4.3: browsers repeat the name instead |
//! | `_charset_` | a field as any other; `MultipartForm` accepts `UTF-8` only | texts would be misread |

mod boundary;
mod error;
mod file_name;
mod head;
mod parameters;
mod scanner;

pub use self::boundary::Boundary;
pub use self::error::{Limit, Malformed, ScanError};
pub use self::head::PartHead;
pub use self::scanner::{Event, Limits, Scanner};
