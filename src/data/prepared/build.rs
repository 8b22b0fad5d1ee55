//! Making the copies: a group of images at a time is appended and synced, so that a build that was killed goes on where it was.

use super::{Cache, IMAGES, INDEX, Prepared, PreparedFormat, Record, contents};
use crate::data::decode::resampled;
use crate::data::resample::Resampler;
use crate::data::{DataError, Images, sums_note};
use crate::files::sha256;
use crate::workers::{share, threads};
use image::ExtendedColorType::Rgb8;
use image::codecs::jpeg::JpegEncoder;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Images that are in memory at once.
const GROUP: usize = 256;
const QUALITY: u8 = 90;

/// Makes the copies of all `images` unless they are there and undamaged. Without a form it is that which is there already, else
/// raw bytes where they take no more than half of the free disk space, else JPEG. Gives the form.
///
/// # Errors
/// Images that are not files, a file that cannot be read, or a full disk.
pub(in crate::data) fn build(
    size: usize,
    form: Option<PreparedFormat>,
    images: &[&Images],
    cache: &Path,
    fetch: &str,
) -> Result<Prepared, DataError> {
    let sums = contents(images).ok_or_else(|| DataError::Unfit {
        name: fetch.to_owned(),
        problem: "its images are in memory, there is nothing to prepare".to_owned(),
    })?;
    let there = |form: &PreparedFormat| Prepared { size, form: *form }.folder(&sums, cache).is_dir();
    let prepared = match form.or_else(|| [PreparedFormat::Raw, PreparedFormat::Jpeg].into_iter().find(there)) {
        Some(form) => Prepared { size, form },
        None => Prepared { size, form: affordable(size, sums.len(), cache)? },
    };
    let folder = prepared.folder(&sums, cache);
    fs::create_dir_all(&folder).map_err(DataError::io("create the folder", &folder))?;
    let lock_path = folder.join(".lock");
    let lock = File::create(&lock_path).map_err(DataError::io("write", &lock_path))?;
    if let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
        tracing::info!("another process is preparing these images: waiting for it");
    }
    lock.lock().map_err(DataError::io("lock", &lock_path))?;
    if let Err(error) = Cache::open(prepared, images, cache, fetch) {
        match error {
            DataError::NotPrepared { .. } => {}
            DataError::Corrupt { .. } => {
                tracing::warn!("{error:#}; they are prepared again");
                // Without an index, no image counts as done.
                let index = folder.join(INDEX);
                fs::remove_file(&index).map_err(DataError::io("delete", &index))?;
            }
            _ => return Err(error),
        }
        tracing::info!("preparing {} images in {}", sums.len(), folder.display());
        fill(prepared, images, &sums, &folder)?;
        let sum = |file: &'static str| sha256(&folder.join(file)).map(|sum| (file, sum));
        let both = [sum(IMAGES), sum(INDEX)].into_iter().flatten().collect::<Vec<_>>();
        sums_note::write(&folder, "prepared images", &both)?;
        Cache::open(prepared, images, cache, fetch)?;
    }
    Ok(prepared)
}

/// The form that the disk has room for.
fn affordable(size: usize, count: usize, cache: &Path) -> Result<PreparedFormat, DataError> {
    fs::create_dir_all(cache).map_err(DataError::io("create the folder", cache))?;
    let disk =
        rustix::fs::statvfs(cache).map_err(|error| DataError::io("get the free space of", cache)(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Photographs are 4:3 on average, and a JPEG of this quality takes 0.4 bytes a pixel.
    let pixels = (count * size * size * 4 / 3) as u64;
    let (raw, jpeg) = (3 * pixels, pixels * 2 / 5);
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let sizes =
        format!("raw bytes take about {:.1} GiB, JPEG {:.1}, and {:.1} are free", gib(raw), gib(jpeg), gib(free));
    if jpeg > free {
        return Err(DataError::Unfit {
            name: cache.display().to_string(),
            problem: format!("the disk is too full: {sizes}"),
        });
    }
    let form = if raw <= free / 2 { PreparedFormat::Raw } else { PreparedFormat::Jpeg };
    tracing::info!("form {form}: {sizes} (--form chooses)");
    Ok(form)
}

/// Appends what is missing to the two files.
fn fill(prepared: Prepared, images: &[&Images], sums: &[[u8; 16]], folder: &Path) -> Result<(), DataError> {
    let append = |name: &str| {
        let path = folder.join(name);
        OpenOptions::new().append(true).create(true).open(&path).map_err(DataError::io("write", &path))
    };
    let (mut data, mut index) = (append(IMAGES)?, append(INDEX)?);
    let write = |name: &str| {
        let path = folder.join(name);
        move |reason| DataError::io("write", &path)(reason)
    };
    let text = fs::read_to_string(folder.join(INDEX)).map_err(DataError::io("read", &folder.join(INDEX)))?;
    let (done, whole, mut end) = resume(&text, sums);
    index.set_len(whole).map_err(write(INDEX))?;
    data.set_len(end).map_err(write(IMAGES))?;
    let first_image: HashMap<[u8; 16], (usize, usize)> = images
        .iter()
        .enumerate()
        .flat_map(|(split, images)| {
            images.contents().into_iter().flatten().enumerate().map(move |(i, sum)| (sum, (split, i)))
        })
        .collect();
    for (group, sums) in sums[done..].chunks(GROUP).enumerate() {
        let mut copies: Vec<Copy> = Vec::new();
        copies.resize_with(sums.len(), || (Vec::new(), [0, 0]));
        share(threads(), sums.iter().zip(&mut copies), |(sum, out)| {
            let (split, i) = first_image[sum];
            *out = copy(prepared, images[split], i)?;
            Ok::<(), DataError>(())
        })?;
        let mut lines = String::new();
        for (sum, (bytes, size)) in sums.iter().zip(&copies) {
            data.write_all(bytes).map_err(write(IMAGES))?;
            lines += &Record { offset: end, bytes: bytes.len(), size: *size }.line(*sum);
            end += bytes.len() as u64;
        }
        // Pixels before the lines that promise them.
        data.sync_data().map_err(write(IMAGES))?;
        index.write_all(lines.as_bytes()).and_then(|()| index.sync_data()).map_err(write(INDEX))?;
        if group % 64 == 63 {
            tracing::info!("prepared {} of {} images", done + (group + 1) * GROUP, done + sums.len());
        }
    }
    Ok(())
}

/// Parses an index that may end within a line: the number of its images, the bytes of their lines, and the end of the last image.
fn resume(text: &str, sums: &[[u8; 16]]) -> (usize, u64, u64) {
    let (mut done, mut whole, mut end) = (0, 0, 0);
    for line in text.split_inclusive('\n') {
        let record = line.strip_suffix('\n').and_then(Record::parse);
        let Some((sum, record)) = record else { break };
        if sums.get(done) != Some(&sum) || record.offset != end {
            break;
        }
        (done, whole, end) = (done + 1, whole + line.len() as u64, end + record.bytes as u64);
    }
    (done, whole, end)
}

/// The bytes to store, and [height, width].
type Copy = (Vec<u8>, [usize; 2]);

fn copy(prepared: Prepared, images: &Images, i: usize) -> Result<Copy, DataError> {
    let (content, path, remedy) = images.file(i)?;
    let (mut from, mut size) = ([0; 2], [0; 2]);
    let planes = resampled(&content, &path, remedy, 3, |full| {
        (from, size) = (full, shrunk(full, prepared.size));
        Resampler::stretch(full, size)
    })?;
    let bytes = match prepared.form {
        PreparedFormat::Raw => planes,
        // What is small enough already loses nothing.
        PreparedFormat::Jpeg if from == size => content,
        PreparedFormat::Jpeg => {
            let plane = size[0] * size[1];
            let rgb: Vec<u8> = (0..plane).flat_map(|i| [0, 1, 2].map(|c| planes[c * plane + i])).collect();
            let mut out = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut out, QUALITY);
            let written = { encoder }.encode(&rgb, size[1] as u32, size[0] as u32, Rgb8);
            written
                .map_err(|error| DataError::corrupt(path.display(), format!("cannot be stored ({error})"), remedy))?;
            out
        }
    };
    Ok((bytes, size))
}

/// The size of an image whose shorter side becomes `side`, as torchvision's `Resize(side)` rounds it; never larger than it is.
pub(super) fn shrunk([height, width]: [usize; 2], side: usize) -> [usize; 2] {
    match height.min(width) {
        shorter if shorter <= side => [height, width],
        shorter => [height, width].map(|length| length * side / shorter),
    }
}
