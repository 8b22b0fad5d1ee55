//! Pictures as files: SVG as it was drawn, PNG and PDF made from it.
//!
//! Text is set in Inter, which is built in, so that a picture is the same on a server without fonts. Only scripts that
//! Inter does not have are looked for among the fonts of the system.

use super::svg::{DARK_MODE, without_card};
use crate::files::write_output;
use resvg::usvg::fontdb::{Database, Family, Query, Weight};
use resvg::{tiny_skia, usvg};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

const INTER: [&[u8]; 2] = [include_bytes!("fonts/Inter-Regular.ttf"), include_bytes!("fonts/Inter-SemiBold.ttf")];
/// Pixels of a PNG for each unit of the SVG: enough for a projector and for print.
const PNG_SCALE: f32 = 2.0;

/// Where a picture goes, checked before anything is computed: a path that ends in `.svg`, `.png` or `.pdf`, in a folder that
/// exists, or `-` for SVG on standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFile {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Svg,
    Png,
    Pdf,
    /// SVG on standard output.
    Stdout,
}

#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("cannot write `{}`: a picture is .svg, .png or .pdf by its ending, or - for SVG on standard output", .0.display())]
    Ending(PathBuf),
    #[error("cannot write {path}: there is no folder {folder}", path = path.display(), folder = folder.display())]
    Folder { path: PathBuf, folder: PathBuf },
    #[error("cannot write {path}: {reason}", path = path.display())]
    Render { path: PathBuf, reason: String },
    #[error("cannot write {path}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl FromStr for PictureFile {
    type Err = PictureError;

    fn from_str(text: &str) -> Result<PictureFile, PictureError> {
        let path = PathBuf::from(text);
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let format = match (text, ending.as_deref()) {
            ("-", _) => Format::Stdout,
            (_, Some("svg")) => Format::Svg,
            (_, Some("png")) => Format::Png,
            (_, Some("pdf")) => Format::Pdf,
            _ => return Err(PictureError::Ending(path)),
        };
        match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            Some(folder) => Err(PictureError::Folder { folder: folder.to_owned(), path }),
            None => Ok(PictureFile { path, format }),
        }
    }
}

impl PictureFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_stdout(&self) -> bool {
        self.format == Format::Stdout
    }

    /// Whether the file is a raster of pixels.
    pub fn is_png(&self) -> bool {
        self.format == Format::Png
    }

    /// Whether the file is a page, for which embedded rasters are not converted.
    pub fn is_pdf(&self) -> bool {
        self.format == Format::Pdf
    }

    /// Writes an SVG in the file's format. `transparent` leaves out the card behind it.
    ///
    /// # Errors
    /// When the picture cannot be converted, which takes a size beyond reason, or the file cannot be written.
    pub fn write(&self, svg: &str, transparent: bool) -> Result<(), PictureError> {
        let svg = if transparent { without_card(svg) } else { svg.to_owned() };
        let render = |reason: String| PictureError::Render { path: self.path.clone(), reason };
        let bytes = match self.format {
            Format::Svg | Format::Stdout => svg.into_bytes(),
            Format::Png => png(&tree(&svg).map_err(render)?).map_err(render)?,
            Format::Pdf => pdf(&tree(&svg).map_err(render)?).map_err(render)?,
        };
        let written = match self.format {
            Format::Stdout => print(&bytes),
            Format::Svg | Format::Png | Format::Pdf => write_output(&self.path, &bytes),
        };
        written.map_err(|source| PictureError::Io { path: self.path.clone(), source })
    }
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // A reader that goes away (`… | head`) has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn tree(svg: &str) -> Result<usvg::Tree, String> {
    let mut options = usvg::Options { fontdb: Arc::new(fonts(svg)), ..usvg::Options::default() };
    // Whatever family the SVG names: what is installed must not change the picture.
    options.font_resolver.select_font = Box::new(|font, fonts| {
        let (families, weight) = ([Family::Name("Inter")], Weight(font.weight()));
        fonts.query(&Query { families: &families, weight, ..Query::default() })
    });
    // Colours for dark pages are for browsers.
    usvg::Tree::from_str(&svg.replace(DARK_MODE, ""), &options).map_err(|error| error.to_string())
}

/// Inter, and the fonts of the system where a text needs glyphs that the built-in subset lacks.
fn fonts(svg: &str) -> Database {
    let mut fonts = Database::new();
    INTER.iter().for_each(|font| fonts.load_font_data(font.to_vec()));
    let built_in = |c: char| matches!(u32::from(c), 0..0x180 | 0x370..0x400 | 0x2010..0x2300);
    if !svg.chars().all(built_in) {
        fonts.load_system_fonts();
    }
    fonts
}

fn png(tree: &usvg::Tree) -> Result<Vec<u8>, String> {
    let side = |side: f32| (side * PNG_SCALE).ceil() as u32;
    let mut pixels = tiny_skia::Pixmap::new(side(tree.size().width()), side(tree.size().height()))
        .ok_or("the picture is too large for PNG")?;
    resvg::render(tree, tiny_skia::Transform::from_scale(PNG_SCALE, PNG_SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

fn pdf(tree: &usvg::Tree) -> Result<Vec<u8>, String> {
    let options = svg2pdf::ConversionOptions::default();
    svg2pdf::to_pdf(tree, options, svg2pdf::PageOptions::default()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::chart::{Axis, Chart};

    fn written(name: &str, transparent: bool) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let file: PictureFile = path.to_str().unwrap().parse().unwrap();
        let chart = Chart::new("Accuracy × cost", Axis::new("epoch"), Axis::new("loss"));
        file.write(&chart.svg(), transparent).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn the_ending_is_the_format() {
        assert!(written("a.svg", false).starts_with(b"<svg "));
        assert!(written("a.PDF", false).starts_with(b"%PDF-"));
        let png = image::load_from_memory(&written("a.png", false)).unwrap().to_rgba8();
        assert_eq!(png.dimensions(), (2400, 1440));
        let [ground, ink] = [[255; 4], [0x1b, 0x24, 0x30, 255]].map(image::Rgba);
        assert_eq!(*png.get_pixel(1200, 40), ground);
        let heading = png.enumerate_pixels().filter(|(_, y, pixel)| *y < 120 && **pixel == ink).count();
        assert!(heading > 500, "the heading is drawn on a machine without fonts: {heading}");
    }

    #[test]
    fn without_a_card_the_ground_is_clear() {
        let png = image::load_from_memory(&written("a.png", true)).unwrap().to_rgba8();
        assert_eq!(png.get_pixel(1200, 40).0[3], 0);
        assert!(!String::from_utf8(written("a.svg", true)).unwrap().contains("<rect"));
    }

    #[test]
    fn other_endings_and_missing_folders_are_refused() {
        for name in ["a.gif", "a", "svg", "a.svg.txt", ""] {
            let error = name.parse::<PictureFile>().unwrap_err().to_string();
            assert!(error.contains(".svg, .png or .pdf"), "{error}");
        }
        let error = "nowhere/a.png".parse::<PictureFile>().unwrap_err().to_string();
        assert_eq!(error, "cannot write nowhere/a.png: there is no folder nowhere");
        assert!("-".parse::<PictureFile>().unwrap().is_stdout());
    }
}
