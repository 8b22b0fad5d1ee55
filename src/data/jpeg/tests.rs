//! Tests against the pixels of Pillow (libjpeg-turbo).

use super::*;
use crate::random;
use std::fs;
use std::path::Path;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// The JPEG files of `tests/formats` that this decoder reads: name, content, interleaved pixels that Pillow reads.
fn files() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let list = fs::read_to_string(folder.join("pillow.txt")).unwrap();
    let lines = list.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let content = |words: Vec<&str>| {
        let file = fs::read(folder.join(words[0])).unwrap();
        Jpeg::new(&file).is_some().then(|| (words[0].to_owned(), file.clone(), bytes(words[3])))
    };
    lines.filter_map(content).collect()
}

fn whole([height, width]: [usize; 2]) -> Window {
    Window { top: 0, left: 0, height, width }
}

#[test]
fn the_pixels_are_those_of_pillow() {
    let files = files();
    let names: Vec<&str> = files.iter().map(|(name, ..)| name.as_str()).collect();
    for name in
        ["rgb.jpg", "grey.jpg", "sampled420.jpg", "sampled422.jpg", "restart.jpg", "narrow.jpg", "wide_range.jpg"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in ["progressive.jpg", "cmyk.jpg", "exif6.jpg"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    for (name, file, expected) in &files {
        let jpeg = Jpeg::new(file).unwrap();
        let planes = jpeg.window(whole(jpeg.size())).unwrap();
        let size = jpeg.size()[0] * jpeg.size()[1];
        let pixel = |i: usize| [0, 1, 2].map(|c| planes[(c * size + i) % planes.len()]);
        assert_eq!((0..size).flat_map(pixel).collect::<Vec<_>>(), *expected, "{name}");
    }
}

#[test]
fn a_window_is_a_part_of_the_whole() {
    for (name, file, _) in &files() {
        let jpeg = Jpeg::new(file).unwrap();
        let [height, width] = jpeg.size();
        let all = jpeg.window(whole([height, width])).unwrap();
        for i in 0..60 {
            let key = random::key(1, "test", &[i]);
            let below = |draw, end: usize| random::below(key, draw, end as u64) as usize;
            let (top, left) = (below(0, height), below(1, width));
            let window = Window { top, left, height: 1 + below(2, height - top), width: 1 + below(3, width - left) };
            let rows = all.chunks_exact(height * width).flat_map(|plane| {
                plane.chunks_exact(width).skip(top).take(window.height).flat_map(|row| &row[left..][..window.width])
            });
            assert_eq!(jpeg.window(window).unwrap(), rows.copied().collect::<Vec<_>>(), "{name} {window:?}");
        }
    }
}

#[test]
fn broken_files_are_left_to_the_general_decoder_or_read() {
    for (_, file, _) in &files() {
        for i in 0..400 {
            let key = random::key(2, "test", &[i]);
            let mut broken = file.clone();
            for draw in 0..1 + i % 3 {
                let at = random::below(key, 2 * draw, file.len() as u64) as usize;
                broken[at] = random::word(key, 2 * draw + 1) as u8;
            }
            if i % 7 == 0 {
                broken.truncate(random::below(key, 9, file.len() as u64) as usize);
            }
            // No panic, whatever it holds.
            if let Some(jpeg) = Jpeg::new(&broken).filter(|jpeg| jpeg.size()[0] * jpeg.size()[1] < 1 << 20) {
                let _ = jpeg.window(whole(jpeg.size()));
            }
        }
    }
}

/// `tests/formats/resized.txt`: `<file> <top> <left> <height> <width> <height> <width> <planes in hex>`, what Pillow makes of a
/// window by `crop` and `resize(BILINEAR)`.
#[test]
fn resized_windows_are_within_a_level_of_pillows() {
    use crate::data::decode::resampled;
    use crate::data::resample::Resampler;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    for line in fs::read_to_string(folder.join("resized.txt")).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [top, left, height, width, tall, wide] = [1, 2, 3, 4, 5, 6].map(|i| words[i].parse::<usize>().unwrap());
        let path = folder.join(words[0]);
        let map = |size| Resampler::window(size, Window { top, left, height, width }, [tall, wide]);
        let found = resampled(&fs::read(&path).unwrap(), &path, "", 3, map).unwrap();
        let expected = bytes(words[7]);
        let far = found.iter().zip(&expected).map(|(&a, &b)| a.abs_diff(b)).max();
        assert!(found.len() == expected.len() && far <= Some(1), "{}: {far:?}", words[0]);
    }
}
