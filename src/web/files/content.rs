//! Content of which parts are sent.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::fs::shared_file::SharedFile;
use crate::message::Body;

/// Content that range requests can ask for parts of. All ranges lie within its length.
pub(crate) trait Content: Send + 'static {
    /// The body with these bytes.
    fn part(self, bytes: Range<u64>) -> Body;

    /// Reads bytes from this position. Zero bytes say that the content is shorter than it was.
    ///
    /// # Errors
    ///
    /// If the content can't be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Content for Arc<SharedFile> {
    fn part(self, bytes: Range<u64>) -> Body {
        Body::from_shared_file(self, bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }
}
