//! Parses what a server sends, as strictly as a client may.

use httlib_hpack::Decoder;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// A header with its value.
pub(crate) type Field = (String, Vec<u8>);

/// A frame of the server, or several that belong together: a header block with its CONTINUATIONs,
/// and DATA of one stream without anything of that stream between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// 0 is the connection.
    pub(crate) stream: u32,
    pub(crate) frame: Frame,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Settings(Vec<(u16, u32)>),
    SettingsAck,
    Ping(Vec<u8>),
    PingAck(Vec<u8>),
    Goaway { last: u32, code: u32 },
    WindowUpdate,
    Reset { code: u32 },
    Headers { fields: Vec<Field>, end: bool },
    Data { content: Vec<u8>, end: bool },
}

/// The receiving side of a client. HPACK is another implementation than the server's.
pub(crate) struct Client {
    input: Vec<u8>,
    hpack: Decoder<'static>,
    /// The header block that is incomplete: stream, whether it ends the stream, and its bytes.
    block: Option<(u32, bool, Vec<u8>)>,
    max_frame_size: usize,
    has_begun: bool,
    received: Vec<Received>,
}

impl Client {
    pub(crate) fn new(max_frame_size: usize) -> Self {
        Self {
            input: Vec::new(),
            hpack: Decoder::with_dynamic_size(4096),
            block: None,
            max_frame_size,
            has_begun: false,
            received: Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some(head) = rest.first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if length > self.max_frame_size {
                return Err(format!(
                    "a frame of {length} bytes: {}",
                    rest.escape_ascii()
                ));
            }
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let Some(payload) = rest.get(9..9 + length) else {
                break;
            };
            self.frame(head[3], head[4], stream, payload)?;
            rest = &rest[9 + length..];
        }
        self.input = rest.to_vec();
        Ok(())
    }

    /// Everything that has come since the last call.
    pub(crate) fn take(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }

    pub(crate) fn received(&self) -> &[Received] {
        &self.received
    }

    /// Checks that nothing is incomplete.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        match self.block.is_none() && self.input.is_empty() {
            true => Ok(()),
            false => Err(format!("half a frame: {}", self.input.escape_ascii())),
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), String> {
        let number = |at: usize| -> Result<u32, String> {
            let bytes = payload.get(at..at + 4).ok_or("a payload is too short")?;
            Ok(bytes
                .iter()
                .fold(0, |all, byte| all << 8 | u32::from(*byte)))
        };
        let fixed = |expected: usize| match payload.len() == expected {
            true => Ok(()),
            false => Err(format!("type {kind} with {} bytes", payload.len())),
        };
        if !self.has_begun && (kind != 4 || flags != 0) {
            return Err(format!("the first frame has the type {kind}"));
        }
        self.has_begun = true;
        if self.block.is_some() && kind != 9 {
            return Err(format!("type {kind} interrupts a header block"));
        }
        let is_of_stream = matches!(kind, 0 | 1 | 3 | 9);
        if kind != 8 && is_of_stream != (stream > 0) {
            return Err(format!("type {kind} on stream {stream}"));
        }
        let frame = match (kind, flags) {
            (0, 0 | END_STREAM) => return self.data(stream, payload, flags == END_STREAM),
            (1, _) if flags & !(END_STREAM | END_HEADERS) == 0 => {
                let end = flags & END_STREAM != 0;
                self.block = Some((stream, end, payload.to_vec()));
                return self.end_block(flags);
            }
            (9, 0 | END_HEADERS) => {
                let block = self.block.as_mut();
                let block = block.filter(|block| block.0 == stream);
                let (_, _, bytes) = block.ok_or("a CONTINUATION that continues nothing")?;
                bytes.extend_from_slice(payload);
                return self.end_block(flags);
            }
            (3, 0) => {
                fixed(4)?;
                Frame::Reset { code: number(0)? }
            }
            (4, ACK) => {
                fixed(0)?;
                Frame::SettingsAck
            }
            (4, 0) => Frame::Settings(settings(payload)?),
            (6, 0) => {
                fixed(8)?;
                Frame::Ping(payload.to_vec())
            }
            (6, ACK) => {
                fixed(8)?;
                Frame::PingAck(payload.to_vec())
            }
            (7, 0) => Frame::Goaway {
                last: number(0)?,
                code: number(4)?,
            },
            (8, 0) => {
                fixed(4)?;
                if !(1..1 << 31).contains(&number(0)?) {
                    return Err(format!("an increment of {}", number(0)?));
                }
                Frame::WindowUpdate
            }
            _ => return Err(format!("type {kind} with the flags {flags:#x}")),
        };
        self.received.push(Received { stream, frame });
        Ok(())
    }

    /// Joins content with the DATA before it.
    fn data(&mut self, stream: u32, payload: &[u8], end: bool) -> Result<(), String> {
        let last = self.received.iter_mut().rev();
        let mut last = last
            .filter(|received| received.stream == stream && received.frame != Frame::WindowUpdate);
        match last.next().map(|received| &mut received.frame) {
            Some(Frame::Data { end: true, .. } | Frame::Headers { end: true, .. }) => {
                return Err(format!("DATA behind the end of stream {stream}"));
            }
            Some(Frame::Data { content, end: ends }) => {
                content.extend_from_slice(payload);
                *ends = end;
            }
            _ => self.received.push(Received {
                stream,
                frame: Frame::Data {
                    content: payload.to_vec(),
                    end,
                },
            }),
        }
        Ok(())
    }

    fn end_block(&mut self, flags: u8) -> Result<(), String> {
        if flags & END_HEADERS == 0 {
            return Ok(());
        }
        let Some((stream, end, mut bytes)) = self.block.take() else {
            return Err("no header block has begun".to_owned());
        };
        let mut decoded = Vec::new();
        let result = self.hpack.decode(&mut bytes, &mut decoded);
        result.map_err(|error| format!("HPACK: {error:?}"))?;
        let fields = decoded.into_iter().map(|(name, value, _)| {
            let name = String::from_utf8(name).map_err(|_| "a name is not ASCII")?;
            Ok((name, value))
        });
        let fields = fields.collect::<Result<Vec<_>, String>>()?;
        check_fields(&fields)?;
        self.received.push(Received {
            stream,
            frame: Frame::Headers { fields, end },
        });
        Ok(())
    }
}

fn settings(payload: &[u8]) -> Result<Vec<(u16, u32)>, String> {
    if !payload.len().is_multiple_of(6) {
        return Err(format!("SETTINGS of {} bytes", payload.len()));
    }
    let entries = payload.chunks(6).map(|entry| {
        let identifier = u16::from_be_bytes([entry[0], entry[1]]);
        let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
        (identifier, value)
    });
    Ok(entries.collect())
}

/// Checks what holds for every response and for trailers (RFC 9113 section 8.2).
fn check_fields(fields: &[Field]) -> Result<(), String> {
    for (name, value) in fields {
        let is_bad = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
        let is_forbidden = matches!(
            &**name,
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
        );
        if is_forbidden || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(format!("the server sent {name}"));
        }
        if value.iter().any(is_bad) || value.trim_ascii() != &value[..] {
            return Err(format!("{name}: {}", value.escape_ascii()));
        }
    }
    let pseudo = fields.iter().filter(|(name, _)| name.starts_with(':'));
    let Some((name, status)) = fields.first().filter(|(name, _)| name == ":status") else {
        return match pseudo.count() {
            0 => Ok(()),
            _ => Err("a pseudo-header in trailers".to_owned()),
        };
    };
    if pseudo.count() > 1 {
        return Err(format!("another pseudo-header behind {name}"));
    }
    let is_interim = status.starts_with(b"1");
    let dates = fields.iter().filter(|(name, _)| name == "date");
    let dates: Vec<_> = dates.map(|(_, value)| value).collect();
    match &dates[..] {
        [] if is_interim => Ok(()),
        [date] if date.len() == 29 && date.ends_with(b" GMT") => Ok(()),
        _ => Err(format!("the Date is {dates:?}")),
    }
}
