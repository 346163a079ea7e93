//! Faults, and their text.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::distribution::{Distribution, is_quantile};
use super::values::{number, percent, size};
use crate::services::inspect::{chosen_headers, times};

/// The words of the grammar, for errors.
const NAMES: &str = "status, delay, header, size, drip, truncate, reset, stream-reset, goaway, \
                     length, chunk, never and none";

/// The names of HTTP/2's error codes; the position of each is its number (RFC 9113 section 7).
const CODES: [&str; 14] = [
    "no_error",
    "protocol_error",
    "internal_error",
    "flow_control_error",
    "settings_timeout",
    "stream_closed",
    "frame_size_error",
    "refused_stream",
    "cancel",
    "compression_error",
    "connect_error",
    "enhance_your_calm",
    "inadequate_security",
    "http_1_1_required",
];

/// The number of INTERNAL_ERROR.
const INTERNAL_ERROR: u32 = 2;

/// Faults that responses get, each for all requests or a share of them.
///
/// A list has commas between its faults. Each has a name, mostly with a value, and may end with a
/// share of requests:
///
/// | fault | what happens |
/// |---|---|
/// | `status=503` | the response has this status |
/// | `delay=100ms`, `delay=10ms..200ms`, `delay=p50:20ms,p99:1s` | the response waits |
/// | `header=retry-after:1` | the response has this header |
/// | `size=64KiB` | the response has as much content, all of it `x` |
/// | `drip=10s` | the content is sent in small parts over this time |
/// | `truncate=middle` | the response ends early, with an orderly close |
/// | `reset=middle` | the response ends early, with a reset of the connection |
/// | `stream-reset=cancel:middle` | in HTTP/2, the stream is reset with this code |
/// | `goaway=no_error` | in HTTP/2, the connection closes behind GOAWAY |
/// | `length=100` | the head announces this length, whatever follows |
/// | `chunk=size`, `chunk=short`, `chunk=end` | a chunk has no valid size, or one byte too many, or the last chunk is missing |
/// | `never` | there is no response |
/// | `none` | nothing |
///
/// Places are `before` (nothing is sent), `head` (the head is sent), `middle` (the head and half of
/// the content), and a number of bytes of content. `truncate` and `reset` without a place are
/// `truncate=middle` and `reset=before`.
///
/// `header` takes no header that the server sets itself (`Connection`), that opens this response to
/// other sites (CORS), that is valid beyond it (`Set-Cookie`, `Strict-Transport-Security`), or that leads
/// a browser to another server (`Location`). In HTTP/1.1, `length` and `chunk` have `Connection: close`,
/// so that a client takes nothing behind them for the next response.
///
/// A percentage is always a share of requests: `status=503@10%`, `reset=middle@1%`, or `reset=5%` for
/// a fault that needs no value.
///
/// ```
/// use httpool::services::inspect::FaultList;
///
/// let faults: FaultList = "reset=5%, delay=p50:20ms,p99:1s".parse().unwrap();
/// assert_eq!(faults.to_string(), "reset=before@5%,delay=p50:20ms,p99:1s");
/// let error = "status=99".parse::<FaultList>().unwrap_err();
/// assert_eq!(error.to_string(), r#"status=99: "99" is not a status: write a number from 200 to 599"#);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FaultList {
    pub(super) rules: Vec<Rule>,
}

/// The part of a [`FaultList`] that is wrong, and what is allowed there.
///
/// ```
/// use httpool::services::inspect::FaultList;
///
/// let error = "delay=fast".parse::<FaultList>().unwrap_err();
/// assert!(error.to_string().starts_with(r#"delay=fast: "fast" is not a time"#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFault {
    part: String,
    reason: String,
}

/// A fault, and the share of requests that get it, in percent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) fault: Fault,
    pub(super) percent: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    Status(StatusCode),
    Delay(Distribution),
    Header(HeaderName, HeaderValue),
    Size(u64),
    Drip(Duration),
    /// A defect of the message itself. A response has one at most.
    Defect(Defect),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    Truncate(Place),
    Reset(Place),
    StreamReset(Code, Place),
    Goaway(Code),
    Length(u64),
    Chunk(ChunkDefect),
    Never,
}

/// Where a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    Head,
    Middle,
    Byte(u64),
}

/// A defect of the chunks of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkDefect {
    /// A size that is not a number.
    Size,
    /// A size that is one byte less than the chunk.
    Short,
    /// No last chunk.
    End,
}

/// The number of an HTTP/2 error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl FromStr for FaultList {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = parts(text);
        if parts.iter().any(|part| part == "none") && parts.len() > 1 {
            return Err(invalid(
                "none",
                "it stands alone, without other faults".into(),
            ));
        }
        let rules = parts.iter().filter(|part| *part != "none");
        let rules: Result<_, _> = rules.map(|part| rule(part)).collect();
        Ok(Self { rules: rules? })
    }
}

/// The text of each fault. Quantiles belong to the delay before them.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim) {
        match parts.last_mut() {
            Some(last) if is_quantile(part) && last.starts_with("delay=p") => {
                last.push(',');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

fn invalid(part: &str, reason: String) -> InvalidFault {
    let part = part.to_owned();
    InvalidFault { part, reason }
}

fn rule(part: &str) -> Result<Rule, InvalidFault> {
    let (text, percent) = split_share(part).map_err(|reason| invalid(part, reason))?;
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text, None),
    };
    let fault = fault(name, value).map_err(|reason| invalid(part, reason))?;
    Ok(Rule { fault, percent })
}

/// Takes the share from the end, which follows an `@`, or takes the place of the value.
fn split_share(part: &str) -> Result<(&str, f64), String> {
    if !part.ends_with('%') {
        return match part.rsplit_once('@') {
            // The value of a header may end like this.
            Some((fault, share)) if number(share).is_some() && !fault.starts_with("header") => {
                Err(format!("a share ends with a percent sign: write {part}%"))
            }
            _ => Ok((part, 100.0)),
        };
    }
    let Some(start) = part.rfind(['@', '=']) else {
        return Err("a share follows the fault: reset=5%, for example".into());
    };
    Ok((part[..start].trim(), percent(part[start + 1..].trim())?))
}

fn fault(name: &str, value: Option<&str>) -> Result<Fault, String> {
    let needed = |example: &str| {
        value.ok_or_else(|| format!("it needs a value: write {name}={example}, for example"))
    };
    Ok(match name {
        "status" => Fault::Status(status(needed("503")?)?),
        "delay" => Fault::Delay(Distribution::parse(needed("100ms")?)?),
        "header" => {
            let (name, value) = header(needed("retry-after:1")?)?;
            Fault::Header(name, value)
        }
        "size" => Fault::Size(size(needed("64KiB")?)?),
        "drip" => Fault::Drip(times::parse(needed("10s")?)?),
        _ => Fault::Defect(defect(name, value)?),
    })
}

fn defect(name: &str, value: Option<&str>) -> Result<Defect, String> {
    let place_or = |usual| value.map_or(Ok(usual), place);
    Ok(match name {
        "truncate" => Defect::Truncate(place_or(Place::Middle)?),
        "reset" => Defect::Reset(place_or(Place::Before)?),
        "stream-reset" => {
            let (code, place) = stream_reset(value)?;
            Defect::StreamReset(code, place)
        }
        "goaway" => Defect::Goaway(value.map_or(Ok(Code(0)), code)?),
        "length" => Defect::Length(size(value.ok_or("it needs a value: write length=100")?)?),
        "chunk" => Defect::Chunk(chunk(value)?),
        "never" if value.is_none() => Defect::Never,
        "never" => return Err("it has no value".into()),
        "none" => return Err("it stands alone, without a value and a share".into()),
        "" => return Err(format!("a fault is missing: the faults are {NAMES}")),
        _ => return Err(format!("{name:?} is unknown: the faults are {NAMES}")),
    })
}

fn status(text: &str) -> Result<StatusCode, String> {
    let status = text.parse().ok().filter(|code| (200..600).contains(code));
    let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| format!("{text:?} is not a status: write a number from 200 to 599"))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("{text:?} is not a header: write retry-after:1, for example");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
    let value = value.trim().parse().map_err(|_| wrong())?;
    let checked = chosen_headers::check_for_fault(&name, &value);
    checked.map_err(|reason| format!("{name} can't be chosen: {reason}"))?;
    Ok((name, value))
}

fn place(text: &str) -> Result<Place, String> {
    Ok(match text {
        "before" => Place::Before,
        "head" => Place::Head,
        "middle" => Place::Middle,
        _ => match size(text) {
            Ok(bytes) => Place::Byte(bytes),
            Err(_) => {
                return Err(format!(
                    "{text:?} is not a place: write before, head, middle or a number of bytes"
                ));
            }
        },
    })
}

/// A code, a place, or both. Without a code it is INTERNAL_ERROR.
fn stream_reset(value: Option<&str>) -> Result<(Code, Place), String> {
    let usual = (Code(INTERNAL_ERROR), Place::Before);
    let Some(text) = value else {
        return Ok(usual);
    };
    match text.split_once(':') {
        Some((first, second)) => Ok((code(first.trim())?, place(second.trim())?)),
        None => match code(text) {
            Ok(code) => Ok((code, usual.1)),
            Err(error) => place(text).map(|place| (usual.0, place)).map_err(|_| error),
        },
    }
}

fn code(text: &str) -> Result<Code, String> {
    let name = text.to_ascii_lowercase().replace('-', "_");
    match (0..).zip(CODES).find(|(_, code)| *code == name) {
        Some((number, _)) => Ok(Code(number)),
        None => Err(format!(
            "{text:?} is not a code of HTTP/2: the codes are {}",
            CODES.join(", ")
        )),
    }
}

fn chunk(value: Option<&str>) -> Result<ChunkDefect, String> {
    match value {
        None | Some("size") => Ok(ChunkDefect::Size),
        Some("short") => Ok(ChunkDefect::Short),
        Some("end") => Ok(ChunkDefect::End),
        Some(other) => Err(format!(
            "{other:?} is not a defect of a chunk: write size, short or end"
        )),
    }
}

/// Writes the form that is parsed.
impl fmt::Display for FaultList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return f.write_str("none");
        }
        for (index, Rule { fault, percent }) in self.rules.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{fault}")?;
            if *percent < 100.0 {
                write!(f, "@{percent}%")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status={}", status.as_u16()),
            Self::Delay(delay) => write!(f, "delay={delay}"),
            Self::Header(name, value) => {
                let value = String::from_utf8_lossy(value.as_bytes());
                write!(f, "header={name}:{value}")
            }
            Self::Size(bytes) => write!(f, "size={bytes}"),
            Self::Drip(time) => write!(f, "drip={}", times::write(*time)),
            Self::Defect(defect) => defect.fmt(f),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncate(place) => write!(f, "truncate={place}"),
            Self::Reset(place) => write!(f, "reset={place}"),
            Self::StreamReset(code, place) => write!(f, "stream-reset={code}:{place}"),
            Self::Goaway(code) => write!(f, "goaway={code}"),
            Self::Length(bytes) => write!(f, "length={bytes}"),
            Self::Chunk(ChunkDefect::Size) => f.write_str("chunk=size"),
            Self::Chunk(ChunkDefect::Short) => f.write_str("chunk=short"),
            Self::Chunk(ChunkDefect::End) => f.write_str("chunk=end"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before => f.write_str("before"),
            Self::Head => f.write_str("head"),
            Self::Middle => f.write_str("middle"),
            Self::Byte(bytes) => bytes.fmt(f),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CODES[self.0 as usize])
    }
}

/// Names the part, and says what is allowed.
impl fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "{}: {}", self.part, self.reason),
        }
    }
}

impl Error for InvalidFault {}

#[cfg(test)]
mod tests;
