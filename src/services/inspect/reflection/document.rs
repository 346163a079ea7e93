//! The JSON document of a request.

use serde::Serialize;
use serde_json::{Map, Value};

use super::content::Content;
use super::fields::Field;
use super::target::Target;
use crate::services::inspect::captured::{Captured, Times, microseconds};
use crate::services::inspect::connection::Connection;
use crate::services::inspect::times::timestamp;

/// Everything that is known of a request. The members come in the order in which people look for
/// them.
#[derive(Debug, Serialize)]
pub(super) struct Document<'c> {
    method: &'c str,
    url: String,
    target: Target,
    version: &'c str,
    /// The header lines in their order and case, with repeats.
    header_lines: Vec<Field>,
    /// The pairs of the query, decoded, in their order.
    query: Vec<Field>,
    body: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<Chunks>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trailer_lines: Vec<Field>,
    connection: &'c Connection,
    received: String,
    times: Times,
    /// The members of httpbin's `/anything` that are not above. Tests of clients expect them.
    #[serde(flatten)]
    httpbin: Map<String, Value>,
}

/// The chunks of a body in the chunked coding.
#[derive(Debug, Serialize)]
struct Chunks {
    /// The size lines as sent, with extensions.
    lines: Vec<String>,
    /// The number of further lines.
    #[serde(skip_serializing_if = "is_zero")]
    not_kept: u64,
}

impl<'c> Document<'c> {
    pub(super) fn of(captured: &'c Captured, mut httpbin: Map<String, Value>) -> Self {
        for same in ["method", "url"] {
            httpbin.remove(same);
        }
        let target = Target::of(captured.target());
        let fields = |(name, value)| Field::new(name, value);
        Self {
            method: captured.method(),
            url: captured.url(),
            version: captured.version(),
            header_lines: captured.header_lines().map(fields).collect(),
            query: target.query(),
            target,
            body: Content::of(captured),
            chunks: Chunks::of(captured),
            trailer_lines: captured.raw.trailer_lines().map(fields).collect(),
            connection: &captured.connection,
            received: timestamp(captured.received),
            times: Times {
                handled_us: captured.begun.map(|begun| microseconds(begun.elapsed())),
                ..captured.times
            },
            httpbin,
        }
    }
}

impl Chunks {
    fn of(captured: &Captured) -> Option<Self> {
        let lines: Vec<_> = captured
            .raw
            .chunks()
            .map(|chunk| String::from_utf8_lossy(chunk.line).into_owned())
            .collect();
        (!lines.is_empty()).then(|| Self {
            lines,
            not_kept: captured.raw.unkept_chunks(),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
