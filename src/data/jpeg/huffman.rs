//! Huffman tables and the reader of bits.

use std::cell::RefCell;
use std::sync::Arc;

/// Bits that are looked up at once.
pub(super) const LOOK: u32 = 11;

/// A code and, where they fit into [`LOOK`] bits together, the number after it.
pub(super) struct Table {
    /// Indexed by the next bits: the number in the upper 16 bits, then 8 bits of how many coefficients it takes the place
    /// forward (for AC), then the number of bits of code and number. Where those are more than [`LOOK`], [`LONG`] is set and
    /// the upper 16 bits are the length of the number; 0 where already the code is longer.
    pub fast: Box<[u32; 1 << LOOK]>,
    /// By length of the code: the first code after those of this length, its bits moved to the top of 16; the symbols' position
    /// less the first code.
    ends: [u32; 17],
    offsets: [i32; 17],
    symbols: Vec<u8>,
    counts: [u8; 16],
    is_ac: bool,
}

/// Marks an entry whose number is not in it.
pub(super) const LONG: u32 = 0x80 << 8;

/// The place after the last coefficient: where an end of block leads from every place.
pub(super) const END: u32 = 64;

impl Table {
    /// The table of these codes, made at most once in a row by a thread: most files have the same four.
    pub(super) fn known(is_ac: bool, counts: &[u8; 16], symbols: &[u8]) -> Option<Arc<Table>> {
        thread_local!(static KNOWN: RefCell<Vec<Arc<Table>>> = const { RefCell::new(Vec::new()) });
        KNOWN.with_borrow_mut(|known| {
            let same = |table: &&Arc<Table>| (table.is_ac, &table.counts, &*table.symbols) == (is_ac, counts, symbols);
            if let Some(table) = known.iter().find(same) {
                return Some(Arc::clone(table));
            }
            let table = Arc::new(Table::new(is_ac, counts, symbols)?);
            if known.len() == 8 {
                known.remove(4); // the first are likely to be those of the standard
            }
            known.push(Arc::clone(&table));
            Some(table)
        })
    }

    fn new(is_ac: bool, counts: &[u8; 16], symbols: &[u8]) -> Option<Table> {
        let (mut ends, mut offsets) = ([0; 17], [0; 17]);
        let mut fast = vec![0u32; 1 << LOOK];
        let (mut code, mut position) = (0u32, 0);
        for length in 1..=16 {
            offsets[length as usize] = position as i32 - code as i32;
            for &symbol in symbols.get(position..position + usize::from(counts[length as usize - 1]))? {
                if length <= LOOK {
                    let start = (code << (LOOK - length)) as usize;
                    let entries = fast.get_mut(start..start + (1 << (LOOK - length)))?;
                    let rest = LOOK - length;
                    entries.iter_mut().enumerate().for_each(|(bits, entry)| {
                        *entry = fast_entry(is_ac, symbol, length, rest, bits as u32);
                    });
                }
                code += 1;
                position += 1;
            }
            if code > 1 << length {
                return None;
            }
            ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        let fast = fast.into_boxed_slice().try_into().ok()?;
        Some(Table { fast, ends, offsets, symbols: symbols.to_vec(), counts: *counts, is_ac })
    }

    /// The symbol at the start of 16 bits, and the length of its code.
    fn symbol(&self, bits: u32) -> Option<(u8, u32)> {
        let length = (1..=16).find(|&length| bits < self.ends[length])?;
        let position = (bits >> (16 - length)) as i32 + self.offsets[length];
        Some((*self.symbols.get(position as usize)?, length as u32))
    }
}

/// The entry for a code of `length` bits with the `rest` bits after it.
fn fast_entry(is_ac: bool, symbol: u8, length: u32, rest: u32, bits: u32) -> u32 {
    let (run, size) = (if is_ac { u32::from(symbol >> 4) } else { 0 }, u32::from(symbol & 15));
    // No bits after anything but a run of 16 zeros: the end of the block.
    let forward = if is_ac && size == 0 && run != 15 { END } else { run };
    if size > rest {
        return size << 16 | LONG | forward << 8 | (length + size);
    }
    let value = extend(bits >> (rest - size), size);
    (value as u32) << 16 | forward << 8 | (length + size)
}

/// The number that `size` bits stand for.
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    match size {
        0 => 0,
        size if bits >> (size - 1) == 0 => bits as i32 - ((1 << size) - 1),
        _ => bits as i32,
    }
}

/// The data without its stuffing, each interval between restart markers followed by [`PAD`] zeros, and where the intervals
/// begin.
pub(super) fn unstuffed(data: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut starts) = (Vec::with_capacity(data.len() + PAD), vec![0]);
    let mut rest = data;
    while let Some(at) = memchr::memchr(0xff, rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1) {
            Some(0) => {
                out.push(0xff);
                rest = &rest[at + 2..];
            }
            Some(0xd0..=0xd7) => {
                out.extend_from_slice(&[0; PAD]);
                starts.push(out.len());
                rest = &rest[at + 2..];
            }
            Some(0xff) => rest = &rest[at + 1..],
            _ => {
                rest = &[];
            }
        }
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0; PAD]);
    (out, starts)
}

/// Zeros after an interval, so that bits can be loaded eight bytes at a time.
pub(super) const PAD: usize = 16;

/// Reads bits, the first one highest. Loops work on a copy of it, which the compiler keeps in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, at the top.
    pub next: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Bits<'a> {
        Bits { data, at, next: 0, count: 0 }
    }

    /// Makes at least 56 bits available; zeros after the end.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        let Some(&word) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) else {
            self.count = 63; // zeros: the end is checked once the scan is decoded
            self.at = self.data.len();
            return;
        };
        self.next |= u64::from_be_bytes(word) >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, bits: u32) {
        self.next <<= bits;
        self.count = self.count.wrapping_sub(bits);
    }

    /// The bytes that were used, at least partly.
    pub(super) fn position(&self) -> usize {
        self.at.saturating_sub((self.count >> 3) as usize)
    }

    /// Takes what the entry with [`LONG`] says, and gives its number.
    #[inline(always)]
    pub(super) fn long(&mut self, entry: u32) -> i32 {
        self.fill();
        let (size, total) = (entry >> 16, entry & 0xff);
        let number = extend((self.next << (total - size) >> (64 - size)) as u32, size);
        self.skip(total);
        number
    }

    /// Takes a symbol whose code is longer than [`LOOK`], and the number after it.
    #[cold]
    pub(super) fn slow(mut self, table: &Table) -> Option<(Bits<'a>, u8, i32)> {
        self.fill();
        let (symbol, length) = table.symbol((self.next >> 48) as u32)?;
        self.skip(length);
        let size = u32::from(symbol & 15);
        let value = if size == 0 { 0 } else { extend((self.next >> (64 - size)) as u32, size) };
        self.skip(size);
        Some((self, symbol, value))
    }
}
