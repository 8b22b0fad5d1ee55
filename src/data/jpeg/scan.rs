//! The entropy-coded data of a window, as planes of samples.

use super::header::{Component, Frame, ZIGZAG};
use super::huffman::{Bits, END, LONG, LOOK, Table, unstuffed};
use crate::data::resample::Window;
use crate::torch::pictures::{self, BLOCK};
use std::ops::Range;

/// The samples of one component that a window needs, and a few more: whole blocks.
pub(super) struct Plane {
    /// The sample's row and column in the component that is the first here.
    pub top: usize,
    pub left: usize,
    pub width: usize,
    pub samples: Vec<u8>,
}

/// Decodes the MCUs that a window needs. `None` where the data is broken.
pub(super) fn decode(frame: &Frame, window: Window) -> Option<Vec<Plane>> {
    let area = Area::of(frame, window);
    let (data, starts) = unstuffed(frame.data);
    let mut bits = Bits::new(&data, 0);
    let mut lines: Vec<Line> = frame.components.iter().map(|component| Line::new(component, &area)).collect();
    let (mut left, mut intervals) = (frame.restart, starts.iter().skip(1));
    for row in 0..area.rows.end {
        let wanted = row >= area.rows.start;
        for mcu in 0..area.across {
            if frame.restart > 0 {
                if left == 0 {
                    bits = Bits::new(&data, *intervals.next()?);
                    lines.iter_mut().for_each(|line| line.predicted = 0);
                    left = frame.restart;
                }
                left -= 1;
            }
            let at = (wanted && area.columns.contains(&mcu)).then(|| mcu - area.columns.start);
            lines.iter_mut().try_for_each(|line| line.mcu(&mut bits, at))?;
        }
        if bits.position() > data.len() - super::huffman::PAD {
            return None;
        }
        if wanted {
            lines.iter_mut().for_each(|line| line.transform(row - area.rows.start));
        }
    }
    Some(lines.into_iter().map(|line| line.plane).collect())
}

/// The MCUs of a window.
struct Area {
    /// MCUs in a row of the image.
    across: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Area {
    fn of(frame: &Frame, window: Window) -> Area {
        let luma = frame.components[0].sampling;
        // The chroma filter takes a sample on each side, where there is one.
        let range = |axis: usize, start: usize, length: usize| {
            let (side, margin) = (8 * luma[axis], if luma[axis] == 2 { 2 } else { 0 });
            let end = (start + length + margin).min(frame.size[axis]);
            start.saturating_sub(margin) / side..end.div_ceil(side)
        };
        let rows = range(0, window.top, window.height);
        Area { across: frame.size[1].div_ceil(8 * luma[1]), rows, columns: range(1, window.left, window.width) }
    }
}

/// A row of MCUs of one component.
struct Line<'a> {
    component: &'a Component,
    /// The DC coefficient before.
    predicted: i32,
    /// Blocks in a row of the plane.
    across: usize,
    /// For each row of blocks of the MCU one after the other.
    coefficients: Vec<i16>,
    last: Vec<u8>,
    plane: Plane,
}

impl<'a> Line<'a> {
    fn new(component: &'a Component, area: &Area) -> Line<'a> {
        let [down, wide] = component.sampling;
        let across = wide * area.columns.len();
        let plane = Plane {
            top: 8 * down * area.rows.start,
            left: 8 * wide * area.columns.start,
            width: 8 * across,
            samples: vec![0; 8 * across * 8 * down * area.rows.len()],
        };
        let (coefficients, last) = (vec![0; BLOCK * down * across], vec![0; down * across]);
        Line { component, predicted: 0, across, coefficients, last, plane }
    }

    /// Reads the blocks of one MCU, `at` in the row of those that are wanted.
    #[inline]
    fn mcu(&mut self, bits: &mut Bits, at: Option<usize>) -> Option<()> {
        let Component { sampling: [down, wide], dc, ac, .. } = self.component;
        for y in 0..*down {
            for x in 0..*wide {
                self.predicted += difference(bits, dc)?;
                let Some(at) = at else {
                    block::<false>(bits, ac, &mut [0; BLOCK])?;
                    continue;
                };
                let index = y * self.across + at * wide + x;
                let room = self.coefficients.get_mut(BLOCK * index..)?.first_chunk_mut::<BLOCK>()?;
                room[0] = self.predicted as i16;
                self.last[index] = block::<true>(bits, ac, room)?;
            }
        }
        Some(())
    }

    /// Turns the coefficients into samples of row `row` of the MCUs, and clears them.
    fn transform(&mut self, row: usize) {
        let down = self.component.sampling[0];
        let width = self.plane.width;
        let blocks = self.coefficients.chunks_exact(BLOCK * self.across).zip(self.last.chunks_exact(self.across));
        for (y, (coefficients, last)) in blocks.enumerate() {
            let start = 8 * width * (row * down + y);
            let out = &mut self.plane.samples[start..start + 8 * width];
            pictures::inverse_dct(coefficients, last, &self.component.quantizer, out, width);
        }
        self.coefficients.fill(0);
    }
}

/// The difference of a DC coefficient to the one before.
#[inline(always)]
fn difference(bits: &mut Bits, table: &Table) -> Option<i32> {
    bits.fill();
    let entry = table.fast[(bits.next >> (64 - LOOK)) as usize];
    if entry == 0 {
        let (after, _, value) = bits.slow(table)?;
        *bits = after;
        return Some(value);
    }
    if entry & LONG != 0 {
        return Some(bits.long(entry));
    }
    bits.skip(entry & 0xff);
    Some((entry as i32) >> 16)
}

/// Reads the AC coefficients of a block; gives the index of the last one.
#[inline(always)]
fn block<const STORED: bool>(shared: &mut Bits, table: &Table, out: &mut [i16; BLOCK]) -> Option<u8> {
    let (mut bits, mut index, mut last) = (*shared, 1u32, 0u32);
    let mut store = |index: u32, value: i16| {
        if STORED {
            out[usize::from(ZIGZAG[index as usize % BLOCK]) % BLOCK] = value;
        }
    };
    'block: while index < END {
        bits.fill();
        // 56 bits are enough for five entries.
        for _ in 0..5 {
            let entry = table.fast[(bits.next >> (64 - LOOK)) as usize];
            let value = if entry & LONG != 0 {
                index += (entry >> 8) & 0x7f;
                bits.long(entry) as i16
            } else if entry != 0 {
                bits.skip(entry & 0xff);
                index += (entry >> 8) & 0xff;
                if index >= END {
                    break 'block;
                }
                store(index, (entry >> 16) as i16);
                last = index;
                index += 1;
                if index >= END {
                    break 'block;
                }
                continue;
            } else {
                let (after, symbol, value) = bits.slow(table)?;
                bits = after;
                if symbol & 15 == 0 && symbol >> 4 != 15 {
                    break 'block;
                }
                index += u32::from(symbol >> 4);
                value as i16
            };
            if index >= END {
                return None;
            }
            store(index, value);
            last = index;
            index += 1;
            continue 'block;
        }
    }
    *shared = bits;
    Some(last as u8)
}
