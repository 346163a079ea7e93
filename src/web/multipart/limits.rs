//! Limits of a form.

use crate::form_data::Limits;
use crate::message::BodyMode;

const MIB: u64 = 1024 * 1024;

/// The limits of a form, in the type of a function's argument. Each has a default; a type of your own
/// changes what it needs.
///
/// ```
/// use httpool::Router;
/// use httpool::multipart::{Multipart, MultipartError, MultipartLimits};
///
/// /// Up to 20 videos of up to 1 GiB.
/// enum Videos {}
///
/// impl MultipartLimits for Videos {
///     const TOTAL: u64 = 20 << 30;
///     const PART: u64 = 1 << 30;
///     const PARTS: usize = 20;
/// }
///
/// fn upload(mut videos: Multipart<Videos>) -> Result<(), MultipartError> {
///     while let Some(video) = videos.next_part()? {
///         println!("{:?}", video.safe_file_name());
///     }
///     Ok(())
/// }
///
/// let router: Router = Router::new().post("/videos", upload);
/// ```
///
/// The response above a limit is 413 and names the limit.
pub trait MultipartLimits: 'static {
    /// Bytes of the whole body. Default: 64 MiB, so that some photos or a document fit, and a hundred
    /// uploads at once fit on a disk.
    const TOTAL: u64 = 64 * MIB;

    /// Number of parts. Default: 1,000, more than any page has fields.
    const PARTS: usize = 1000;

    /// Bytes of the content of one part. Default: as many as the whole body may have.
    const PART: u64 = Self::TOTAL;

    /// Bytes of the headers of one part, with its name and file name. Default: 8 KiB. Apart from that,
    /// a part has at most 20 headers.
    const PART_HEAD: usize = 8 * 1024;

    /// Bytes that all parts of a form together keep in memory. Default: 10 MiB, as for [other
    /// bodies](crate::defaults::MAX_BODY). These count:
    ///
    /// * content that is read by [`Part::bytes`](super::Part::bytes) and
    ///   [`Part::text`](super::Part::text),
    /// * each [`FileBytes`](super::FileBytes) with its headers, and the headers of each
    ///   [`TempFile`](super::TempFile),
    /// * names and texts of a [`MultipartForm`](super::MultipartForm). `%`, `&`, `+` and `=` in them
    ///   count as three bytes, as which they pass through the parser.
    ///
    /// While a `MultipartForm` is parsed, its texts are in memory twice. The bytes that have arrived and
    /// are not read, about 64 KiB, do not count.
    const IN_MEMORY: u64 = 10 * MIB;

    /// How the body is received. Default: it is read while it arrives, up to [`TOTAL`](Self::TOTAL)
    /// bytes, which occupies a worker until the last byte. With [`BodyMode::Buffered`], slow clients
    /// occupy no worker, and [`Builder::max_body`](crate::Builder::max_body) limits the body as well.
    const BODY_MODE: BodyMode = BodyMode::Streaming { most: Self::TOTAL };
}

/// The default limits of a form.
///
/// ```
/// use httpool::multipart::{DefaultLimits, MultipartLimits};
///
/// assert_eq!(DefaultLimits::PARTS, 1000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultLimits {}

impl MultipartLimits for DefaultLimits {}

/// The limits of the scanner.
pub(super) const fn of<L: MultipartLimits>() -> Limits {
    Limits {
        total: L::TOTAL,
        parts: L::PARTS,
        part: L::PART,
        part_head: L::PART_HEAD,
    }
}
