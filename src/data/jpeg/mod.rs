//! A decoder of baseline JPEG, which photographs nearly all are, that decodes no more than the window that is wanted: rows
//! below it are not read, and blocks beside it are not transformed. The pixels are those of libjpeg-turbo, bit for bit.
//!
//! What it does not read (progressive and arithmetic coding, CMYK, unusual sampling, broken files) is left to the
//! general decoder, which also has the error messages.

mod header;
mod huffman;
mod rows;
mod scan;

use super::resample::Window;
use header::Frame;

/// A JPEG file that this decoder reads.
pub(super) struct Jpeg<'a> {
    frame: Frame<'a>,
}

impl Jpeg<'_> {
    /// `None` where the file is to be read by the general decoder.
    pub(super) fn new(bytes: &[u8]) -> Option<Jpeg<'_>> {
        Some(Jpeg { frame: Frame::read(bytes)? })
    }

    /// Height, width.
    pub(super) fn size(&self) -> [usize; 2] {
        self.frame.size
    }

    /// The pixels of a window within the image: a plane of luma, or three of red, green and blue. `None` where the data is
    /// broken.
    pub(super) fn window(&self, window: Window) -> Option<Vec<u8>> {
        let planes = scan::decode(&self.frame, window)?;
        Some(rows::pixels(&self.frame, &planes, window))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
