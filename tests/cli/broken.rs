//! Corpora of broken images, weights and tables, made here, each with the exact message in `tests/corpus/KIND.txt`.

use super::place::{Place, Ran, TINY};
use super::snapshot::expect;
use image::{GrayImage, ImageFormat, RgbImage};
use safetensors::SafeTensors;
use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use strata::analysis::collect::collect;
use strata::config::{Experiment, Machine};
use strata::data::decode;
use strata::model::{Model, read_tensors};
use strata::random;

type Case = (String, Vec<u8>);

/// Holds the message of each case against the snapshot; a case that is not refused has a message that says so.
fn check(kind: &str, extension: &str, cases: Vec<Case>, read: impl Fn(&Path) -> Result<(), String>) {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("{}/", folder.path().display());
    let mut messages = String::new();
    for (name, bytes) in &cases {
        let path = folder.path().join(format!("{name}.{extension}"));
        fs::write(&path, bytes).unwrap();
        let message = read(&path).map_or_else(|error| error, |()| "NOT REFUSED".to_owned());
        // One line each, also where a message has several.
        writeln!(messages, "{name}: {}", message.replace(&place, "").replace('\n', "\\n")).unwrap();
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written beside them");
    expect(&format!("corpus/{kind}.txt"), &messages);
    assert!(!messages.contains("NOT REFUSED"), "{messages}");
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let noise = |x: u32, y: u32| random::uniform(5, u64::from(100 * x + y));
    let picture = RgbImage::from_fn(24, 24, |x, y| image::Rgb([(255.0 * noise(x, y)) as u8, x as u8, y as u8]));
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG whose header says another width, height, depth and colour type, with a checksum that fits.
fn png_with_header(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut png = encoded(ImageFormat::Png);
    change(&mut png[16..29]);
    let mut crc = flate2::Crc::new();
    crc.update(&png[12..29]);
    png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    png
}

fn images() -> Vec<Case> {
    let (png, jpeg) = (encoded(ImageFormat::Png), encoded(ImageFormat::Jpeg));
    let size = |width: u32, height: u32| {
        png_with_header(|header| {
            header[..4].copy_from_slice(&width.to_be_bytes());
            header[4..8].copy_from_slice(&height.to_be_bytes());
        })
    };
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("one_byte", vec![0x89]),
        ("text", b"this is text".to_vec()),
        ("html", b"<html><body>404</body></html>".to_vec()),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
        ("gif", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec()),
        ("bmp", b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0".to_vec()),
        ("webp", b"RIFF\x24\0\0\0WEBPVP8 ".to_vec()),
        ("tiff", b"II*\0\x08\0\0\0".to_vec()),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("zeros", vec![0; 4096]),
        ("png_signature_only", png[..8].to_vec()),
        ("png_without_data", png[..33].to_vec()),
        ("png_half", png[..png.len() / 2].to_vec()),
        ("png_bomb_pixels", size(30_000, 30_000)),
        ("png_bomb_wide", size(u32::MAX >> 1, 1)),
        ("png_bomb_both", size(u32::MAX >> 1, u32::MAX >> 1)),
        ("png_lying_taller", size(24, 9_000)),
        ("png_lying_wider", size(9_000, 24)),
        ("png_no_width", size(0, 24)),
        ("png_no_height", size(24, 0)),
        ("png_wrong_crc", {
            let mut png = png.clone();
            png[30] ^= 1;
            png
        }),
        ("png_depth_of_3", png_with_header(|header| header[8] = 3)),
        ("png_colour_type_9", png_with_header(|header| header[9] = 9)),
        ("png_palette_without_one", png_with_header(|header| header[9] = 3)),
        ("png_compression_7", png_with_header(|header| header[10] = 7)),
        ("jpeg_start_only", jpeg[..2].to_vec()),
        ("jpeg_header_only", jpeg[..40].to_vec()),
        ("jpeg_half", jpeg[..jpeg.len() / 2].to_vec()),
        ("jpeg_without_end", jpeg[..jpeg.len() - 2].to_vec()),
        ("jpeg_end_at_once", vec![0xff, 0xd8, 0xff, 0xd9]),
        ("jpeg_without_tables", {
            // Every table of codes becomes a comment.
            let mut jpeg = jpeg.clone();
            for at in 0..jpeg.len() - 1 {
                if jpeg[at..at + 2] == [0xff, 0xc4] {
                    jpeg[at + 1] = 0xfe;
                }
            }
            jpeg
        }),
    ];
    let frame = jpeg.windows(2).position(|mark| mark == [0xff, 0xc0]).unwrap();
    let mut framed = |name, at: usize, bytes: &[u8]| {
        let mut jpeg = jpeg.clone();
        jpeg[frame + at..frame + at + bytes.len()].copy_from_slice(bytes);
        cases.push((name, jpeg));
    };
    framed("jpeg_bomb", 5, &[0xff, 0xff, 0xff, 0xff]);
    framed("jpeg_no_width", 7, &[0, 0]);
    framed("jpeg_9_components", 9, &[9]);
    framed("jpeg_12_bits", 4, &[12]);
    cases.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

#[test]
pub(crate) fn broken_images_get_their_message() {
    check("images", "png", images(), |path| decode(path, [3, 16, 16]).map(drop).map_err(|error| error.to_string()));
}

/// A picture of a hundred bytes that claims 7.5 GB is refused by a process that may take 2 GiB, before it asks for them.
#[test]
fn a_bomb_takes_no_memory() {
    let place = Place::trained("tiny", TINY);
    let header = |size: [u32; 2]| {
        png_with_header(|header| {
            header[..4].copy_from_slice(&size[0].to_be_bytes());
            header[4..8].copy_from_slice(&size[1].to_be_bytes());
        })
    };
    for (size, words) in
        [([50_000, 50_000], "50000x50000 is over 100 megapixels"), ([u32::MAX >> 1, 1], "limit exceeded")]
    {
        place.file("bomb.png", header(size));
        let program = place.command(&["predict", "tiny", "bomb.png"]);
        let mut limited = std::process::Command::new("sh");
        limited
            .args(["-c", "ulimit -d 2097152 && exec \"$0\" \"$@\""])
            .arg(program.get_program())
            .args(program.get_args());
        limited.current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
        Ran::from(limited.output().unwrap()).refused(&[words]);
    }
}

/// A PNG with a compressed colour profile and a compressed text of so many zeros in front of its pixels.
fn png_with_profile(size: usize) -> Vec<u8> {
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(size as u64), &mut zeros).unwrap();
    let zeros = zeros.finish().unwrap();
    let mut png = encoded(ImageFormat::Png);
    for kind in [b"zTXt", b"iCCP"] {
        // A name, its end, and 0 for deflate.
        let body = [&kind[..], b"profile\0\0", &zeros].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let chunk = [&(body.len() as u32 - 4).to_be_bytes()[..], &body, &crc.sum().to_be_bytes()].concat();
        png.splice(33..33, chunk);
    }
    png
}

/// A megabyte of colour profile that unpacks to a gibibyte took 1.7 GB.
#[test]
fn a_colour_profile_takes_no_memory() {
    let place = Place::trained("tiny", TINY);
    place.file("bomb.png", png_with_profile(1 << 30));
    place.file("small.png", png_with_profile(1 << 10));
    let (ran, _, small) = place.measured(&["predict", "tiny", "small.png"]);
    ran.good();
    let (ran, _, bomb) = place.measured(&["predict", "tiny", "bomb.png"]);
    assert!(bomb < small + (256 << 20), "{bomb} bytes, with a small profile {small}");
    // No profile is used: one that is too large is no reason to refuse the picture.
    ran.good();
}

/// Cut at every length, and with any bit changed: an error or a picture of the right size, never a panic.
#[test]
fn damaged_images_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let (whole, path) = (encoded(format), folder.path().join("x.png"));
        let mut refused = 0;
        for at in 0..whole.len() {
            fs::write(&path, &whole[..at]).unwrap();
            refused += u32::from(decode(&path, [1, 8, 8]).is_err());
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, changed).unwrap();
            if let Ok(pixels) = decode(&path, [1, 8, 8]) {
                assert_eq!(pixels.len(), 64);
            }
        }
        // A PNG may lack its closing words: no pixel is missing then.
        assert!(refused as usize >= whole.len() - 20, "{format:?}: {refused} of {} cuts refused", whole.len());
    }
    GrayImage::new(3, 3).save(&folder.path().join("x.png")).unwrap();
    assert!(decode(&folder.path().join("x.png"), [1, 8, 8]).is_ok());
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

const NETWORK: &str = r#"
[data]
dataset = "synthetic"
validation = 100
[model]
input = [1, 8, 8]
rows = [ { op = "global_avg_pool" }, { op = "classifier" } ]
[train]
epochs = 1
batch = 4
lr = 0.1
"#;

/// Weights for [`NETWORK`], whose tensors are `row2.weight` [10, 1] and `row2.bias` [10].
fn weights() -> Vec<Case> {
    let both = |weight: &str, bias: &str| format!(r#"{{"row2.weight":{{{weight}}},"row2.bias":{{{bias}}}}}"#);
    let weight = r#""dtype":"F32","shape":[10,1],"data_offsets":[0,40]"#;
    let bias = r#""dtype":"F32","shape":[10],"data_offsets":[40,80]"#;
    let whole = safetensors(&both(weight, bias), 80);
    let headed = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    let with_bias = |bias: &str, data| safetensors(&both(weight, bias), data);
    let named = |name: &str| {
        safetensors(
            &format!(
                r#"{{"row2.weight":{{{weight}}},"row2.bias":{{{bias}}},"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[80,84]}}}}"#
            ),
            84,
        )
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("seven_bytes", vec![0; 7]),
        ("zeros", vec![0; 64]),
        ("text", b"hello, these are no weights".to_vec()),
        ("pickle", b"\x80\x02}q\0(X\x04\0\0\0argsq\x01.".to_vec()),
        ("zip_of_torch", b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ("header_of_exabytes", headed(u64::MAX >> 1, b"{}")),
        ("header_of_gigabytes", headed(8 << 30, b"{}")),
        ("header_past_the_end", headed(100, b"{}")),
        ("header_no_json", safetensors("hello", 0)),
        ("header_no_object", safetensors("[1,2,3]", 0)),
        ("header_cut", whole[..60].to_vec()),
        ("header_not_utf8", headed(4, &[b'{', 0xff, 0xfe, b'}'])),
        ("header_deep", safetensors(&"[".repeat(5000), 0)),
        ("no_tensors", safetensors("{}", 0)),
        ("data_missing", safetensors(&both(weight, bias), 0)),
        ("data_short", safetensors(&both(weight, bias), 79)),
        ("data_long", safetensors(&both(weight, bias), 90)),
        ("offsets_backwards", with_bias(r#""dtype":"F32","shape":[10],"data_offsets":[80,40]"#, 80)),
        ("offsets_overlap", with_bias(r#""dtype":"F32","shape":[10],"data_offsets":[20,60]"#, 60)),
        ("offsets_with_a_hole", with_bias(r#""dtype":"F32","shape":[10],"data_offsets":[60,100]"#, 100)),
        ("offsets_huge", with_bias(r#""dtype":"F32","shape":[10],"data_offsets":[40,18446744073709551615]"#, 80)),
        ("offsets_negative", with_bias(r#""dtype":"F32","shape":[10],"data_offsets":[-1,40]"#, 80)),
        ("shape_of_more_than_the_data", with_bias(r#""dtype":"F32","shape":[11],"data_offsets":[40,80]"#, 80)),
        (
            "shape_overflows",
            with_bias(r#""dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[40,80]"#, 80),
        ),
        ("shape_negative", with_bias(r#""dtype":"F32","shape":[-10],"data_offsets":[40,80]"#, 80)),
        ("shape_missing", with_bias(r#""dtype":"F32","data_offsets":[40,80]"#, 80)),
        ("shape_other", with_bias(r#""dtype":"F32","shape":[2,5],"data_offsets":[40,80]"#, 80)),
        ("shape_empty", with_bias(r#""dtype":"F32","shape":[],"data_offsets":[40,44]"#, 44)),
        ("dtype_unknown", with_bias(r#""dtype":"F31","shape":[10],"data_offsets":[40,80]"#, 80)),
        ("dtype_bool", with_bias(r#""dtype":"BOOL","shape":[10],"data_offsets":[40,50]"#, 50)),
        ("dtype_u8", with_bias(r#""dtype":"U8","shape":[10],"data_offsets":[40,50]"#, 50)),
        ("dtype_i32", with_bias(r#""dtype":"I32","shape":[10],"data_offsets":[40,80]"#, 80)),
        ("bias_missing", safetensors(&format!(r#"{{"row2.weight":{{{weight}}}}}"#), 40)),
        ("name_foreign", named("extra")),
        ("name_leads_out", named("../../outside")),
        ("name_absolute", named("/etc/passwd")),
        ("name_of_markup", named("<script>alert(1)</script>")),
        ("name_empty", named("")),
        ("name_with_line_break", named("a\\nb")),
        ("name_with_escape", named("\\u001b[2J")),
        ("name_long", named(&"n".repeat(300))),
    ];
    cases.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

fn model() -> Model {
    let network = Experiment::parse("x.toml", NETWORK, "x", &[], Machine::default()).unwrap().network;
    Model::new(&network, tch::Device::Cpu, 0).unwrap()
}

#[test]
pub(crate) fn broken_weights_get_their_message() {
    let load = |path: &Path| {
        model().load_weights(path).map_err(|error| error.to_string().replace('\u{1b}', "ESC").replace('\n', "\\n"))
    };
    check("weights", "safetensors", weights(), load);
}

#[test]
fn damaged_weights_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    strata::model::write_tensors(&path, &model().named_tensors()).unwrap();
    let whole = fs::read(&path).unwrap();
    assert!(SafeTensors::deserialize(&whole).is_ok());
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).unwrap();
        assert!(read_tensors(&path).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            fs::write(&path, changed).unwrap();
            let _ = model_of(&path);
        }
    }
}

fn model_of(path: &Path) -> Result<(), String> {
    read_tensors(path).map(drop).map_err(|error| error.to_string())
}

fn tables() -> Vec<Case> {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("line_break_only", b"\n".to_vec()),
        ("spaces", b"   \n  \n".to_vec()),
        ("no_header", b",,,\n1,2,3,4\n".to_vec()),
        ("nul", b"name,top1\na\0,0.5\n".to_vec()),
        ("weights", vec![0; 4096]),
        ("latin1", b"name,top1\nM\xfcller,0.5\n".to_vec()),
        ("latin1_header", b"n\xe4me,top1\na,0.5\n".to_vec()),
        ("utf16", b"\xff\xfen\0a\0m\0e\0\n\0".to_vec()),
        ("column_twice", b"name,top1,name\na,0.5,b\n".to_vec()),
        ("cell_too_many", b"name,top1\na,0.5,0.6\n".to_vec()),
        ("cell_too_few", b"name,top1,top5\na,0.5\n".to_vec()),
        ("row_cut", b"name,top1,top5\na,0.5,0.9\nb,0.6".to_vec()),
        ("second_table_below", b"name,top1\na,0.5\n\nname,top1,top5\nb,0.5,0.9\n".to_vec()),
        ("quote_open", b"name,top1\n\"a,0.5\nb,0.6\n".to_vec()),
        ("other_delimiter_below", b"name,top1\na;0.5\n".to_vec()),
        ("html", b"<html>\n<body>, 404</body>\n</html>\n".to_vec()),
    ];
    cases.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

#[test]
pub(crate) fn broken_tables_get_their_message() {
    let results = tempfile::tempdir().unwrap();
    let read = |path: &Path| {
        collect(&[path.to_str().unwrap().to_owned()], &strata::runs::Store::new(results.path()))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    check("tables", "csv", tables(), read);
}
