//! The segments before the scan.

use super::huffman::Table;
use std::sync::Arc;

/// The largest number of pixels, as for other formats.
const MAX_PIXELS: usize = 100_000_000;

/// What the segments say, and the entropy-coded data after them.
pub(super) struct Frame<'a> {
    /// Height, width.
    pub size: [usize; 2],
    /// Luma, or luma, Cb and Cr.
    pub components: Vec<Component>,
    /// MCUs between restart markers; 0 for none.
    pub restart: usize,
    pub data: &'a [u8],
}

pub(super) struct Component {
    /// Blocks of an MCU down and across: 1 or 2 for luma, 1 for the others.
    pub sampling: [usize; 2],
    /// Divisors in natural order.
    pub quantizer: [i16; 64],
    pub dc: Arc<Table>,
    pub ac: Arc<Table>,
}

/// The natural position of the coefficients in the order of the file.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Tables by number, and what the frame header says, as they are found.
#[derive(Default)]
struct Segments {
    quantizers: [Option<[i16; 64]>; 4],
    /// DC, then AC.
    tables: [[Option<Arc<Table>>; 4]; 2],
    size: [usize; 2],
    /// Identifier, [down, across], number of the quantizer.
    components: Vec<(u8, [usize; 2], usize)>,
    restart: usize,
    jfif: bool,
    /// The colour transform of Adobe's marker.
    adobe: Option<u8>,
}

impl<'a> Frame<'a> {
    /// `None` for what the general decoder must read.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
        let mut segments = Segments::default();
        loop {
            let (&[0xff, marker], after) = rest.split_first_chunk::<2>()? else { return None };
            if marker == 0xff {
                rest = rest.get(1..)?; // a fill byte
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
            let segment = after.get(2..length)?;
            rest = after.get(length..)?;
            match marker {
                0xc0 | 0xc1 => segments.frame(segment)?,
                0xc4 => segments.tables(segment)?,
                0xdb => segments.quantizers(segment)?,
                0xdd => segments.restart = usize::from(u16::from_be_bytes(*segment.first_chunk()?)),
                0xda => return segments.scan(segment, rest),
                0xe0 => segments.jfif |= segment.starts_with(b"JFIF\0"),
                // Turned by its note: the general decoder turns it back.
                0xe1 if is_turned(segment) => return None,
                0xee if segment.starts_with(b"Adobe") => segments.adobe = segment.get(11).copied(),
                0xe1..=0xef | 0xfe => {}
                _ => return None,
            }
        }
    }
}

fn is_turned(segment: &[u8]) -> bool {
    use image::metadata::Orientation;
    let note = segment.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
    note.is_some_and(|turn| turn != Orientation::NoTransforms)
}

impl Segments {
    fn frame(&mut self, segment: &[u8]) -> Option<()> {
        let (head, components) = segment.split_first_chunk::<6>()?;
        let side = |at: usize| usize::from(u16::from_be_bytes([head[at], head[at + 1]]));
        self.size = [side(1), side(3)];
        let count = usize::from(head[5]);
        let sound = head[0] == 8 && self.size[0] > 0 && self.size[1] > 0 && self.size[0] * self.size[1] <= MAX_PIXELS;
        if !sound || !self.components.is_empty() || components.len() != 3 * count || !matches!(count, 1 | 3) {
            return None;
        }
        let component = |c: &[u8]| (c[0], [usize::from(c[1] & 15), usize::from(c[1] >> 4)], usize::from(c[2]));
        self.components = components.chunks_exact(3).map(component).collect();
        Some(())
    }

    fn quantizers(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let (values, rest) = rest.split_first_chunk::<64>()?;
            let table = self.quantizers.get_mut(usize::from(head))?; // larger where its values take two bytes
            let natural = table.insert([0; 64]);
            ZIGZAG.iter().zip(values).for_each(|(&at, &value)| natural[usize::from(at)] = value.into());
            segment = rest;
        }
        Some(())
    }

    fn tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let class = self.tables.get_mut(usize::from(head >> 4))?;
            *class.get_mut(usize::from(head & 15))? = Some(Table::known(head >> 4 == 1, counts, symbols)?);
            segment = rest;
        }
        Some(())
    }

    fn scan<'a>(self, segment: &[u8], data: &'a [u8]) -> Option<Frame<'a>> {
        let count = self.components.len();
        // One scan of all components, every coefficient in it.
        if count == 0 || segment.len() != 4 + 2 * count || usize::from(segment[0]) != count || !self.is_ycc() {
            return None;
        }
        let mut components = Vec::with_capacity(count);
        for (&(name, sampling, quantizer), selector) in self.components.iter().zip(segment[1..].chunks_exact(2)) {
            let table = |class: usize, number: u8| self.tables[class].get(usize::from(number))?.clone();
            let (dc, ac) = (table(0, selector[1] >> 4)?, table(1, selector[1] & 15)?);
            let most = if components.is_empty() { 2 } else { 1 };
            if selector[0] != name || sampling.iter().any(|side| !(1..=most).contains(side)) {
                return None;
            }
            let quantizer = (*self.quantizers.get(quantizer)?)?;
            components.push(Component { sampling, quantizer, dc, ac });
        }
        if let [luma] = components.as_mut_slice() {
            luma.sampling = [1, 1]; // the blocks of a single component are not interleaved
        }
        Some(Frame { size: self.size, components, restart: self.restart, data })
    }

    /// Whether three components are YCbCr, as libjpeg guesses it.
    fn is_ycc(&self) -> bool {
        let names: Vec<u8> = self.components.iter().map(|component| component.0).collect();
        match self.adobe {
            _ if names.len() == 1 || self.jfif => true,
            Some(transform) => transform == 1,
            None => names != *b"RGB",
        }
    }
}
