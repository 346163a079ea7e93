//! Assembles the header block of a head from HEADERS and CONTINUATION. RFC 9113 section 4.3 calls
//! it a field block.

use std::borrow::Cow;

use super::{Continuation, Error, ErrorCode, Headers, StreamId};

/// Most CONTINUATIONs of one header block. More than one is rare, and a client could send them
/// without end (CVE-2024-27316 and others).
pub const MAX_CONTINUATIONS: u8 = 8;

/// A whole header block, to be decoded with [HPACK](super::hpack).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderBlock<'a> {
    /// The stream.
    pub stream: StreamId,
    /// Whether no DATA follows.
    pub end_stream: bool,
    /// The encoded headers. They are borrowed if they came in one frame.
    pub encoded: Cow<'a, [u8]>,
}

/// Assembles the header blocks of one connection. It holds memory only while a block is incomplete.
///
/// The [decoder](super::FrameDecoder) guarantees that nothing comes between the frames of a block.
///
/// ```
/// use httpool::http2::{Continuation, Headers, HeaderBlocks, StreamId};
///
/// let stream = StreamId::new(1).unwrap();
/// let mut blocks = HeaderBlocks::new(16 * 1024);
/// let headers = Headers { stream, fragment: b"ab", end_headers: false, end_stream: true };
/// assert_eq!(blocks.headers(headers), Ok(None));
/// let continuation = Continuation { stream, fragment: b"c", end_headers: true };
/// let block = blocks.continuation(continuation).unwrap().unwrap();
/// assert_eq!(&*block.encoded, b"abc");
/// ```
#[derive(Debug)]
pub struct HeaderBlocks {
    /// Most encoded bytes of a block.
    limit: usize,
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    stream: StreamId,
    end_stream: bool,
    encoded: Vec<u8>,
    continuations: u8,
}

impl HeaderBlocks {
    /// For blocks of at most this many encoded bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: None,
        }
    }

    /// The memory of an incomplete block.
    #[must_use]
    pub fn held(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| partial.encoded.capacity())
    }

    /// Begins a block. Returns it if it is whole.
    ///
    /// # Errors
    ///
    /// ENHANCE_YOUR_CALM for the connection if the block exceeds the limit: it can't be skipped,
    /// because HPACK needs every block. PROTOCOL_ERROR if another block is incomplete.
    pub fn headers<'a>(&mut self, frame: Headers<'a>) -> Result<Option<HeaderBlock<'a>>, Error> {
        if self.partial.is_some() {
            return Err(out_of_order());
        }
        if frame.fragment.len() > self.limit {
            return Err(too_large());
        }
        if frame.end_headers {
            return Ok(Some(HeaderBlock {
                stream: frame.stream,
                end_stream: frame.end_stream,
                encoded: Cow::Borrowed(frame.fragment),
            }));
        }
        self.partial = Some(Box::new(Partial {
            stream: frame.stream,
            end_stream: frame.end_stream,
            encoded: frame.fragment.to_vec(),
            continuations: 0,
        }));
        Ok(None)
    }

    /// Continues the block. Returns it if it is whole.
    ///
    /// # Errors
    ///
    /// ENHANCE_YOUR_CALM for the connection if the block exceeds the limit or has more than
    /// [`MAX_CONTINUATIONS`]. PROTOCOL_ERROR if no block of this stream is incomplete.
    pub fn continuation(
        &mut self,
        frame: Continuation<'_>,
    ) -> Result<Option<HeaderBlock<'static>>, Error> {
        let mut partial = self.partial.take().ok_or(out_of_order())?;
        if partial.stream != frame.stream {
            return Err(out_of_order());
        }
        if partial.continuations == MAX_CONTINUATIONS {
            let reason = "a header block has more than 8 CONTINUATIONs";
            return Err(Error::connection(ErrorCode::EnhanceYourCalm, reason));
        }
        partial.continuations += 1;
        if frame.fragment.len() > self.limit - partial.encoded.len() {
            return Err(too_large());
        }
        partial.encoded.extend_from_slice(frame.fragment);
        if !frame.end_headers {
            self.partial = Some(partial);
            return Ok(None);
        }
        Ok(Some(HeaderBlock {
            stream: partial.stream,
            end_stream: partial.end_stream,
            encoded: Cow::Owned(partial.encoded),
        }))
    }
}

fn too_large() -> Error {
    let reason = "a header block exceeds the limit of a head";
    Error::connection(ErrorCode::EnhanceYourCalm, reason)
}

fn out_of_order() -> Error {
    let reason = "a header block is out of order";
    Error::connection(ErrorCode::ProtocolError, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;

    fn stream(number: u32) -> StreamId {
        StreamId::new(number).expect("the number is not 0")
    }

    fn headers(fragment: &[u8], end_headers: bool) -> Headers<'_> {
        Headers {
            stream: stream(1),
            fragment,
            end_headers,
            end_stream: true,
        }
    }

    fn continuation(fragment: &[u8], end_headers: bool) -> Continuation<'_> {
        Continuation {
            stream: stream(1),
            fragment,
            end_headers,
        }
    }

    #[test]
    fn whole_block_is_borrowed() {
        let mut blocks = HeaderBlocks::new(LIMIT);
        let block = blocks.headers(headers(b"abc", true)).expect("it is valid");
        let block = block.expect("it is whole");
        assert!(matches!(block.encoded, Cow::Borrowed(b"abc")));
        assert!(block.end_stream);
        assert_eq!(blocks.held(), 0);
    }

    #[test]
    fn block_is_assembled_from_every_split() {
        let whole = b"a header block";
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let mut blocks = HeaderBlocks::new(whole.len());
                let begun = blocks.headers(headers(&whole[..first], false));
                assert_eq!(begun, Ok(None));
                let middle = blocks.continuation(continuation(&whole[first..second], false));
                assert_eq!(middle, Ok(None));
                let end = blocks.continuation(continuation(&whole[second..], true));
                let block = end.expect("it is valid").expect("it is whole");
                assert_eq!(&*block.encoded, whole);
                assert_eq!(blocks.held(), 0);
            }
        }
    }

    #[test]
    fn block_over_the_limit_ends_the_connection() {
        let long = [0; LIMIT + 1];
        let mut blocks = HeaderBlocks::new(LIMIT);
        assert!(blocks.headers(headers(&long[..LIMIT], true)).is_ok());
        assert_eq!(blocks.headers(headers(&long, true)), Err(too_large()));
        assert_eq!(blocks.headers(headers(&long, false)), Err(too_large()));
        assert_eq!(blocks.held(), 0);
        for first in 0..=LIMIT {
            let mut blocks = HeaderBlocks::new(LIMIT);
            assert_eq!(blocks.headers(headers(&long[..first], false)), Ok(None));
            let rest = continuation(&long[first..], true);
            assert_eq!(blocks.continuation(rest), Err(too_large()));
        }
        assert_eq!(too_large().code(), ErrorCode::EnhanceYourCalm);
        assert!(matches!(too_large(), Error::Connection { .. }));
    }

    #[test]
    fn ninth_continuation_ends_the_connection() {
        for end_headers in [false, true] {
            let mut blocks = HeaderBlocks::new(LIMIT);
            assert_eq!(blocks.headers(headers(b"", false)), Ok(None));
            for _ in 0..MAX_CONTINUATIONS {
                assert_eq!(blocks.continuation(continuation(b"", false)), Ok(None));
            }
            let ninth = blocks.continuation(continuation(b"", end_headers));
            let error = ninth.expect_err("there were 8 before");
            assert_eq!(error.code(), ErrorCode::EnhanceYourCalm);
            assert!(matches!(error, Error::Connection { .. }));
        }
    }

    #[test]
    fn eighth_continuation_may_end_the_block() {
        let mut blocks = HeaderBlocks::new(LIMIT);
        assert_eq!(blocks.headers(headers(b"0", false)), Ok(None));
        for _ in 1..MAX_CONTINUATIONS {
            assert_eq!(blocks.continuation(continuation(b"1", false)), Ok(None));
        }
        let block = blocks.continuation(continuation(b"2", true));
        let block = block.expect("it is valid").expect("it is whole");
        assert_eq!(&*block.encoded, b"011111112");
    }

    #[test]
    fn frames_out_of_order_end_the_connection() {
        let mut blocks = HeaderBlocks::new(LIMIT);
        let alone = blocks.continuation(continuation(b"", true));
        assert_eq!(alone, Err(out_of_order()));
        assert_eq!(blocks.headers(headers(b"", false)), Ok(None));
        assert_eq!(blocks.headers(headers(b"", true)), Err(out_of_order()));
        let other = Continuation {
            stream: stream(3),
            ..continuation(b"", true)
        };
        assert_eq!(blocks.continuation(other), Err(out_of_order()));
    }
}
