//! `--qr`: a URL as a QR code of characters.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// The code as lines of block characters that are dark on light, with the margin that cameras need.
pub(crate) fn picture(url: &str) -> String {
    match QrCode::new(url) {
        Ok(code) => code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Dark)
            .light_color(Dense1x2::Light)
            .build(),
        // A URL of an address and a port has at most 60 characters, and a code takes 2,000.
        Err(error) => format!("{url}: {error}"),
    }
}
