//! The zip archives that `torch.save` writes: entries that are stored without compression, found through the central directory.
//! Every offset and length is checked against the file before it is used.

use std::collections::HashMap;

/// Bytes of the record that ends an archive, without its comment.
const END: usize = 22;
const END_64: usize = 56;
const LOCATOR_64: usize = 20;
const HEADER: usize = 46;
const LOCAL_HEADER: usize = 30;
/// The largest comment after the last record.
const MAX_COMMENT: usize = 0xFFFF;
/// A field that is elsewhere, in a field of 64 bits.
const ELSEWHERE: u64 = 0xFFFF_FFFF;

/// The content of an archive's entries by name.
pub(super) struct Archive<'a>(HashMap<&'a str, &'a [u8]>);

impl<'a> Archive<'a> {
    /// # Errors
    /// Says what is damaged or not supported.
    pub(super) fn read(file: &'a [u8]) -> Result<Archive<'a>, String> {
        let (count, mut at) = directory(file).ok_or("its zip directory is missing: the file was cut off")?;
        let mut entries = HashMap::new();
        for _ in 0..count {
            let (name, content, next) = entry(file, at)?;
            entries.insert(name, content);
            at = next;
        }
        Ok(Archive(entries))
    }

    /// The entry whose name, without the folder that all entries are in, is `name`.
    pub(super) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let inside = |full: &&str| full.split_once('/').is_some_and(|(_, rest)| rest == name);
        self.0.keys().find(|full| inside(full)).and_then(|full| self.0.get(full).copied())
    }

    /// The names of the entries, without the folder.
    pub(super) fn folder(&self) -> Option<&'a str> {
        self.0.keys().find_map(|name| name.strip_suffix("/data.pkl"))
    }

    /// The entry with this full name.
    pub(super) fn full(&self, name: &str) -> Option<&'a [u8]> {
        self.0.get(name).copied()
    }
}

/// A little-endian number of up to 8 bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn offset(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    number(bytes, at, width).and_then(|number| usize::try_from(number).ok())
}

/// The number of entries and where their headers begin.
fn directory(file: &[u8]) -> Option<(u64, usize)> {
    let last = file.len().checked_sub(END)?;
    let end = (last.saturating_sub(MAX_COMMENT)..=last).rev().find(|&at| file[at..].starts_with(b"PK\x05\x06"))?;
    let (count, start) = (number(file, end + 10, 2)?, number(file, end + 16, 4)?);
    if count != 0xFFFF && start != ELSEWHERE {
        return Some((count, start as usize));
    }
    let locator = end.checked_sub(LOCATOR_64).filter(|&at| file[at..].starts_with(b"PK\x06\x07"))?;
    let end = offset(file, locator + 8, 8)?;
    let record = file.get(end..end.checked_add(END_64)?).filter(|record| record.starts_with(b"PK\x06\x06"))?;
    Some((number(record, 32, 8)?, offset(record, 48, 8)?))
}

/// Name and content of the entry whose header is at `at`, and where the next header is.
fn entry(file: &[u8], at: usize) -> Result<(&str, &[u8], usize), String> {
    let damaged = || "its zip directory is damaged".to_owned();
    let header = file.get(at..).filter(|rest| rest.len() >= HEADER && rest.starts_with(b"PK\x01\x02"));
    let header = header.ok_or_else(damaged)?;
    let field = |at, width| number(header, at, width).ok_or_else(damaged);
    let (flags, method, crc) = (field(8, 2)?, field(10, 2)?, field(16, 4)?);
    let [name_length, extra_length, comment_length] = [field(28, 2)?, field(30, 2)?, field(32, 2)?].map(|n| n as usize);
    let name = header.get(HEADER..HEADER + name_length).and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or_else(damaged)?;
    let extra = header.get(HEADER + name_length..HEADER + name_length + extra_length).ok_or_else(damaged)?;
    let [mut packed, mut size, mut offset] = [field(20, 4)?, field(24, 4)?, field(42, 4)?];
    let mut wide = wide_fields(extra);
    for (narrow, value) in [(size, &mut size), (packed, &mut packed), (offset, &mut offset)] {
        if narrow == ELSEWHERE {
            *value = wide.next().ok_or_else(damaged)?;
        }
    }
    if flags & 1 != 0 || method != 0 || packed != size {
        return Err(format!("its entry {name:?} is compressed or encrypted, which torch.save does not do"));
    }
    let content = content(file, offset, size).ok_or_else(|| format!("its entry {name:?} is cut off"))?;
    let mut digest = flate2::Crc::new();
    digest.update(content);
    // PyTorch can be told not to compute checksums; it writes 0 then.
    if crc != 0 && u64::from(digest.sum()) != crc {
        return Err(format!("its entry {name:?} is damaged (CRC-32 differs)"));
    }
    Ok((name, content, at + HEADER + name_length + extra_length + comment_length))
}

fn content(file: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let local = file.get(offset..).filter(|rest| rest.starts_with(b"PK\x03\x04"))?;
    let lengths = number(local, 26, 2)?.checked_add(number(local, 28, 2)?)?;
    let start = LOCAL_HEADER.checked_add(usize::try_from(lengths).ok()?)?;
    local.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// The numbers of 64 bits in a header's extra field, in their order: size, packed size, offset, as far as they are needed.
fn wide_fields(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut fields: &[u8] = &[];
    while let (Some(id), Some(length)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some(field) = extra.get(4..4 + length as usize) else { break };
        if id == 1 {
            fields = field;
        }
        extra = &extra[4 + length as usize..];
    }
    fields.chunks_exact(8).filter_map(|bytes| number(bytes, 0, 8))
}
