//! Content from other threads that is encoded while it is sent. It never blocks.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::ContentCoding;
use super::encode::{Encode, READ_SIZE, encoder};
use crate::message::body::{Polled, PolledReader, PolledSource};
use crate::message::waker::Wake;

/// Encodes what another source has, and flushes when that has no more for now.
pub(super) struct EncodedSource {
    source: Box<PolledReader>,
    coding: ContentCoding,
    /// Made for the first part: a response that waits for it keeps little memory.
    encoder: Option<Box<dyn Encode>>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The end of the content was encoded.
    Ended,
}

impl EncodedSource {
    pub(super) fn new(coding: ContentCoding, source: Box<PolledReader>) -> Self {
        Self {
            source,
            coding,
            encoder: None,
            stage: Stage::Open,
        }
    }

    fn encoder(&mut self) -> &mut Box<dyn Encode> {
        self.encoder.get_or_insert_with(|| encoder(self.coding))
    }

    /// Encodes what is there, up to the size of one read, and takes the output.
    fn next(&mut self, now: Instant) -> io::Result<Polled> {
        loop {
            let mut room = READ_SIZE;
            let stop = loop {
                match self.source.poll_at_most(room, now) {
                    Polled::Part(part) => {
                        self.encoder().write_all(&part)?;
                        room -= part.len();
                    }
                    stop => break Some(stop),
                }
                if room == 0 {
                    break None;
                }
            };
            let output = match stop {
                Some(Polled::Failed(error)) => return Err(error),
                Some(Polled::End) => self.finish()?,
                // Some coders write something at each flush.
                _ if room == READ_SIZE => Vec::new(),
                _ => self.flush()?,
            };
            match stop {
                _ if !output.is_empty() => return Ok(Polled::Part(output.into())),
                Some(stop) => return Ok(stop),
                None => {}
            }
        }
    }

    fn flush(&mut self) -> io::Result<Vec<u8>> {
        let encoder = self.encoder();
        encoder.flush()?;
        Ok(mem::take(encoder.output()))
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        self.stage = Stage::Ended;
        self.encoder();
        match self.encoder.take() {
            Some(encoder) => encoder.finish(),
            None => Ok(Vec::new()),
        }
    }
}

impl PolledSource for EncodedSource {
    fn attach(&mut self, waker: Arc<dyn Wake>) {
        self.source.attach(waker);
    }

    fn poll(&mut self, now: Instant) -> Polled {
        match self.stage {
            Stage::Open => self.next(now).unwrap_or_else(Polled::Failed),
            Stage::Ended => Polled::End,
        }
    }

    fn client_finished(&mut self) {
        self.source.client_finished();
    }

    fn held(&self) -> usize {
        let memory = match self.encoder {
            Some(_) => self.coding.memory(),
            None => 0,
        };
        memory + self.source.held()
    }
}

#[cfg(all(test, feature = "brotli", feature = "gzip", feature = "zstd"))]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::message::Body;
    use crate::message::body::{Content, Reader};
    use crate::web::content_coding::Flush;

    struct NoWaker;

    impl Wake for NoWaker {
        fn wake(&self) {}

        fn is_draining(&self) -> bool {
            false
        }
    }

    fn encoded(coding: ContentCoding, body: Body) -> Box<PolledReader> {
        let body = coding.encode(body, Flush::PerRead);
        let Content::Reader(source) = body.into_content() else {
            panic!("encoded content is not in memory");
        };
        let Reader::Polled(mut reader) = source.reader else {
            panic!("encoding must not block");
        };
        reader.attach(Arc::new(NoWaker));
        reader
    }

    #[test]
    fn each_part_can_be_decoded_at_once() {
        for coding in ContentCoding::FASTEST_FIRST {
            let (sender, body) = Body::channel(1000);
            let mut source = encoded(coding, body);
            assert_eq!(source.held(), 0, "no part has come");
            let now = Instant::now();
            let mut sent = Vec::new();
            for part in ["one ", "two ", "three"] {
                assert!(matches!(source.poll(now), Polled::Pending(None)));
                sender.send(part).expect("the body is open");
                let Polled::Part(output) = source.poll(now) else {
                    panic!("{coding:?} has no output");
                };
                sent.extend_from_slice(&output);
                let mut decoded = vec![0; part.len()];
                let mut decoder = coding.decode(&sent[..]);
                let before = "one two three".find(part).expect("it is a part");
                let read = decoder.read_exact(&mut vec![0; before]);
                let read = read.and_then(|()| decoder.read_exact(&mut decoded));
                read.expect("the part can be decoded");
                assert_eq!(decoded, part.as_bytes(), "{coding:?}");
            }
            assert!(source.held() > 100_000, "the encoder counts");
            drop(sender);
            while let Polled::Part(output) = source.poll(now) {
                sent.extend_from_slice(&output);
            }
            assert!(matches!(source.poll(now), Polled::End));
            let mut text = String::new();
            let read = coding.decode(&sent[..]).read_to_string(&mut text);
            read.expect("the content is complete");
            assert_eq!(text, "one two three", "{coding:?}");
        }
    }

    #[test]
    fn large_parts_are_encoded_in_rounds() {
        let content = "a line of text\n".repeat(100_000);
        for coding in ContentCoding::FASTEST_FIRST {
            let (sender, body) = Body::channel(1000);
            sender.send(content.clone()).expect("the body is open");
            drop(sender);
            let (mut source, mut sent, mut rounds) = (encoded(coding, body), Vec::new(), 0);
            while let Polled::Part(output) = source.poll(Instant::now()) {
                sent.extend_from_slice(&output);
                rounds += 1;
            }
            assert!(rounds >= content.len() / READ_SIZE, "{rounds} rounds");
            let mut text = String::new();
            let read = coding.decode(&sent[..]).read_to_string(&mut text);
            read.expect("the content is complete");
            assert!(text == content, "{coding:?}");
        }
    }

    #[test]
    fn failure_is_not_an_end() {
        for coding in ContentCoding::FASTEST_FIRST {
            let (sender, body) = Body::channel(1000);
            sender.send("a part").expect("the body is open");
            sender.fail();
            let mut source = encoded(coding, body);
            assert!(matches!(source.poll(Instant::now()), Polled::Failed(_)));
        }
    }
}
