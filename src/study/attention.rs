//! Where in an image a network finds its class: Grad-CAM (Selvaraju et al. 2017) and saliency (Simonyan et al. 2014).

use super::table::Selection;
use super::{Protocol, Rows, Split, StudyError, Subject};
use crate::data::{Images, image_files, images_of};
use crate::figures::ramp::viridis;
use crate::figures::thumbnails::{Thumbnail, thumbnails};
use crate::model::{SplitModel, Submodule, float};
use crate::named::{KeyError, check_range};
use crate::runs::{Table, significant};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Options of the study `attention`: Grad-CAM and input-gradient saliency of the predicted class, on the first images of a split
/// or on image files. Computed in evaluation mode and fp32, one image at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attention {
    pub images: usize,
    pub split: Split,
    /// A folder of image files to use instead of the split; empty for none. A file in a folder named after a class has that
    /// label.
    pub path: String,
    /// The part of the network whose output Grad-CAM weighs, counted from 1; 0 for the last one that has several pixels.
    pub part: usize,
}

impl Default for Attention {
    fn default() -> Attention {
        Attention { images: 8, split: Split::Test, path: String::new(), part: 0 }
    }
}

const COLUMNS: [&str; 9] = [
    "run",
    "image",
    "class",
    "predicted",
    "probability",
    "probability_of_class",
    "part",
    "gradcam_centre",
    "saliency_centre",
];

/// Images with their names and labels.
struct Shown {
    images: Images,
    /// Numbers in the split, or file names.
    names: Vec<String>,
    /// Indices of the true classes, where they are known.
    truth: Vec<Option<i64>>,
}

/// A network's output for images, and what in the images it depends on.
struct Attribution {
    /// `[N, classes]`
    logits: Tensor,
    /// Grad-CAM `[N, h, w]`, in the size of the part's output, not negative.
    cam: Tensor,
    /// Largest absolute gradient of the channels, `[N, H, W]`.
    saliency: Tensor,
}

impl Attribution {
    /// Computes the maps of the logit of one class per image: `class` maps logits `[N, classes]` to indices `[N]`.
    fn at(parts: &SplitModel, part: usize, x: &Tensor, class: impl Fn(&Tensor) -> Tensor) -> Attribution {
        let run =
            |parts: &[Submodule], x: &Tensor| parts.iter().fold(x.shallow_clone(), |x, part| part.forward(&x, false));
        let x = x.detach().set_requires_grad(true);
        let map = run(&parts.list[..=part], &x);
        let logits = float(run(&parts.list[part + 1..], &map));
        parts.taps().take();
        let chosen = logits.gather(1, &class(&logits).unsqueeze(1), false).sum(logits.kind());
        let gradients = Tensor::run_backward(&[chosen], &[&map, &x], false, false);
        // Equations 1 and 2 of the paper: the mean gradient of a channel is its weight.
        let weights = gradients[0].mean_dim([2i64, 3].as_slice(), true, map.kind());
        let cam = (weights * &map).sum_dim_intlist([1i64].as_slice(), false, map.kind()).relu();
        let saliency = gradients[1].abs().amax([1i64].as_slice(), false);
        Attribution { logits: logits.detach(), cam: cam.detach(), saliency }
    }
}

/// The fraction of the sum of a map `[H, W]` in the middle half of its height and width; NaN for a map of zeros.
fn centre(map: &Tensor) -> f64 {
    let middle = map.size().iter().zip(0..).fold(map.to_kind(Kind::Double), |map, (&size, dim)| {
        let edge = size / 4;
        map.narrow(dim, edge, size - 2 * edge)
    });
    (middle.sum(Kind::Double) / map.sum(Kind::Double)).double_value(&[])
}

/// Most pixels along a side in pictures: every pixel is a rectangle.
const SIDE: i64 = 96;

/// Converts planes `[C, H, W]` with values from 0 to 1 to a thumbnail.
fn thumbnail(planes: &Tensor, lines: Vec<String>) -> Thumbnail {
    let size: Vec<i64> = planes.size()[1..].iter().map(|&side| side.min(SIDE)).collect();
    let small = planes.unsqueeze(0).adaptive_avg_pool2d(size.as_slice()).squeeze_dim(0);
    let shape = [planes.size()[0], size[0], size[1]].map(|side| side as usize);
    let bytes: Tensor = (small.clamp(0.0, 1.0) * 255.0).round().to_kind(Kind::Uint8).flatten(0, -1);
    Thumbnail { shape, pixels: Vec::try_from(bytes).unwrap_or_default(), lines }
}

/// Maps `[H, W]` to colours `[3, H, W]`; the largest value is the lightest.
fn coloured(map: &Tensor) -> Tensor {
    let map = map.to_kind(Kind::Double);
    let scaled = &map / map.max().clamp_min(f64::MIN_POSITIVE);
    let values = Vec::<f64>::try_from(scaled.flatten(0, -1)).unwrap_or_default();
    let colours: Vec<f64> = values.into_iter().flat_map(viridis).map(|level| f64::from(level) / 255.0).collect();
    Tensor::from_slice(&colours).view([map.size()[0], map.size()[1], 3]).permute([2, 0, 1])
}

impl Protocol for Attention {
    fn about(&self) -> &'static str {
        "where in images the network finds its class: Grad-CAM, saliency"
    }

    fn runs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self) -> Result<(), KeyError> {
        check_range("images", self.images as f64, 1.0, 200.0)
    }

    fn files(&self, _: &[Subject]) -> Result<Vec<PathBuf>, StudyError> {
        if self.path.is_empty() {
            return Ok(Vec::new());
        }
        let mut files = image_files(Path::new(&self.path))?;
        files.truncate(self.images);
        if files.is_empty() {
            return Err(StudyError::Unfit(format!("there is no image in {}", self.path)));
        }
        Ok(files)
    }

    fn run(&self, subjects: &[Subject], rows: &mut Rows) -> Result<(), StudyError> {
        for subject in subjects {
            let shown = self.shown(subject)?;
            let (parts, part) = self.parts(subject)?;
            rows.begin(&COLUMNS, shown.names.len());
            for (index, name) in shown.names.iter().enumerate() {
                rows.row(index, name, || {
                    let (attribution, predicted) = self.attribution(subject, &shown.images, &parts, part, index)?;
                    let probabilities = attribution.logits.softmax(1, Kind::Double);
                    let probability = |class: i64| significant(probabilities.double_value(&[0, class]));
                    let truth = shown.truth[index];
                    let size = shown.images.shape.map(|side| side as i64);
                    let maps = [full_size(&attribution.cam, [size[1], size[2]]), attribution.saliency.select(0, 0)];
                    let class = |class: Option<i64>| class.map(|class| subject.class(class)).unwrap_or_default();
                    let mut cells = vec![subject.name.clone(), name.clone(), class(truth), class(Some(predicted))];
                    cells.extend([probability(predicted), truth.map(probability).unwrap_or_default()]);
                    cells.push(parts.list[part].label.clone());
                    cells.extend(maps.map(|map| significant(centre(&map))));
                    Ok(cells)
                })?;
            }
        }
        Ok(())
    }

    fn picture(&self, subjects: &[Subject], table: &Table) -> Result<String, StudyError> {
        let view = Selection::new(table);
        let mut pictures = Vec::new();
        for subject in subjects {
            let shown = self.shown(subject)?;
            let (parts, part) = self.parts(subject)?;
            let rows: Vec<Selection> = view.each(|row| row).collect();
            for (index, row) in rows.iter().enumerate().take(shown.names.len()) {
                let (attribution, _) = self.attribution(subject, &shown.images, &parts, part, index)?;
                pictures.extend(grid(&shown.images, index, &attribution, row)?);
            }
        }
        let title = format!("Where {} looks", view.text("run"));
        let note = format!(
            "Image, Grad-CAM of the predicted class at `{}`, and the size of the gradient of its logit at the pixels. Centre: \
             the share of a map in the middle half of height and width, 25 % for an even one.",
            view.text("part")
        );
        Ok(thumbnails(&title, &note, &pictures, 6))
    }
}

/// Resizes a map `[1, h, w]` to the size of the image, `[H, W]`.
fn full_size(map: &Tensor, size: [i64; 2]) -> Tensor {
    map.unsqueeze(1).upsample_bilinear2d(size, false, None, None).squeeze()
}

/// Image, overlay and saliency of a row of the table.
fn grid(
    images: &Images,
    index: usize,
    attribution: &Attribution,
    row: &Selection,
) -> Result<[Thumbnail; 3], StudyError> {
    let [channels, height, width] = images.shape.map(|side| side as i64);
    let bytes = Tensor::from_slice(&images.image(index)?).view([channels, height, width]);
    let image = bytes.to_kind(Kind::Double) / 255.0;
    let grey = image.mean_dim([0i64].as_slice(), true, Kind::Double);
    let cam = full_size(&attribution.cam, [height, width]).to_device(tch::Device::Cpu);
    let saliency = attribution.saliency.select(0, 0).to_device(tch::Device::Cpu);
    let percent = |column: &str| match row.number(column) {
        share if share.is_finite() => format!("{:.1} %", 100.0 * share),
        _ => "–".to_owned(),
    };
    let truth = match row.text("class") {
        "" => row.text("image").to_owned(),
        class if class == row.text("predicted") => "correct".to_owned(),
        class => format!("is {class} {}", percent("probability_of_class")),
    };
    let says = |what: &str, column: &str| vec![what.to_owned(), format!("centre {}", percent(column))];
    Ok([
        thumbnail(&image, vec![format!("{} {}", row.text("predicted"), percent("probability")), truth]),
        thumbnail(&(grey * 0.4 + coloured(&cam) * 0.6), says("Grad-CAM", "gradcam_centre")),
        thumbnail(&coloured(&saliency), says("saliency", "saliency_centre")),
    ])
}

impl Attention {
    fn shown(&self, subject: &Subject) -> Result<Shown, StudyError> {
        if self.path.is_empty() {
            let images = subject.images(self.split);
            let images = images.take(self.images.min(images.len()));
            let names = (0..images.len()).map(|index| index.to_string()).collect();
            let truth = images.labels.iter().map(|&label| Some(i64::from(label))).collect();
            return Ok(Shown { images, names, truth });
        }
        let files = self.files(&[])?;
        let images = images_of(&files, subject.network.plan.input)?;
        let relative = |file: &PathBuf| file.strip_prefix(&self.path).unwrap_or(file).display().to_string();
        let class = |file: &PathBuf| {
            let folder = file.parent()?.file_name()?.to_str()?;
            subject.classes.iter().position(|class| class == folder).map(|class| class as i64)
        };
        Ok(Shown { images, names: files.iter().map(relative).collect(), truth: files.iter().map(class).collect() })
    }

    /// The network, and the index of the part that Grad-CAM uses.
    fn parts(&self, subject: &Subject) -> Result<(SplitModel, usize), StudyError> {
        let parts = SplitModel::new(&subject.network, subject.device, &subject.weights, false)?;
        let is_map = |index: usize| parts.list[index].output.len() == 3;
        let last = (0..parts.list.len()).rev().find(|&index| is_map(index) && parts.list[index].output[1..] != [1, 1]);
        let chosen = match self.part {
            0 => last,
            part => Some(part - 1).filter(|&index| index < parts.list.len() && is_map(index)),
        };
        chosen.map(|index| (parts, index)).ok_or_else(|| {
            StudyError::Unfit(format!("part {} of {} has no map of pixels as its output", self.part, subject.name))
        })
    }

    /// Attribution and predicted class of an image.
    fn attribution(
        &self,
        subject: &Subject,
        images: &Images,
        parts: &SplitModel,
        part: usize,
        index: usize,
    ) -> Result<(Attribution, i64), StudyError> {
        let (x, _) = subject.batches_of(&images.slice(index..index + 1), 1, 1)?.remove(0);
        let kind = parts.params().first().map_or(Kind::Float, |(_, tensor)| tensor.kind());
        let attribution = Attribution::at(parts, part, &x.to_kind(kind), |logits| logits.argmax(1, false));
        let predicted = attribution.logits.argmax(1, false).int64_value(&[0]);
        Ok((attribution, predicted))
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
