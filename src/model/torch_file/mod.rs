//! Weights in files of `torch.save`, read without running what is in them.
//!
//! Such a file is a zip archive: `data.pkl`, a pickle of dictionaries that describe tensors, and `data/0`, `data/1`, …, the
//! values. It may hold the tensors themselves or, as checkpoints of training scripts do, a dictionary with them in it.

mod pickle;
#[cfg(test)]
mod tests;
mod zip;

pub(super) use pickle::RUNS_CODE;
use pickle::{Pickle, Storage, TensorView, Value};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use zip::Archive;

/// The keys under which training scripts keep the weights, the one to prefer first.
const KEYS: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "weights"];
/// What DataParallel puts in front of every name.
const PARALLEL: &str = "module.";

/// Whether a file begins as a zip archive does.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The tensors of a file. DataParallel's prefix is taken off the names.
///
/// # Errors
/// Says what is damaged, or what the file holds beside tensors.
pub(super) fn read(file: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let archive = Archive::read(file)?;
    let folder = archive.folder().ok_or("it is a zip archive, but not one of torch.save (no data.pkl)")?;
    if archive.get("byteorder").is_some_and(|order| order != b"little") {
        return Err("its numbers are big-endian".to_owned());
    }
    let bytes = archive.full(&format!("{folder}/data.pkl")).unwrap_or_default();
    let pickle = Pickle::read(bytes)?;
    let views = views(&pickle)?;
    let parallel = !views.is_empty() && views.iter().all(|(name, _)| name.starts_with(PARALLEL));
    // Tensors may share values; not so many of them that a small file fills the memory.
    let mut left = file.len().saturating_mul(4);
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        let entry = |storage: &Storage| archive.full(&format!("{folder}/data/{}", storage.entry));
        let tensor =
            tensor(&pickle, view, &entry, &mut left).map_err(|problem| format!("its tensor {name:?} {problem}"))?;
        let name = if parallel { name.strip_prefix(PARALLEL).unwrap_or(name) } else { name };
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// The named tensors: those of the file's dictionary, or of one in it.
fn views(pickle: &Pickle) -> Result<Vec<(&str, &TensorView)>, String> {
    let Value::Dict(root) = pickle.root() else {
        return Err("it holds no dictionary of tensors".to_owned());
    };
    let found = tensors_of(pickle, root);
    if !found.is_empty() {
        return Ok(found);
    }
    let inner = |key: &&str| root.iter().rev().find(|(name, _)| *pickle.get(*name) == Value::Text((*key).to_owned()));
    for (_, value) in KEYS.iter().filter_map(inner) {
        if let Value::Dict(inner) = pickle.get(*value) {
            let found = tensors_of(pickle, inner);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    let names =
        root.iter().filter_map(|(name, _)| if let Value::Text(name) = pickle.get(*name) { Some(name) } else { None });
    let names: Vec<String> =
        names.take(8).map(|name| name.chars().take(40).flat_map(char::escape_debug).collect()).collect();
    Err(format!("it holds no tensors under {}; its keys: {}", KEYS.join(", "), names.join(", ")))
}

fn tensors_of<'a>(pickle: &'a Pickle, dict: &[(usize, usize)]) -> Vec<(&'a str, &'a TensorView)> {
    let tensor = |(name, value): &(usize, usize)| match (pickle.get(*name), pickle.get(*value)) {
        (Value::Text(name), Value::Tensor(view)) => Some((name.as_str(), view)),
        _ => None,
    };
    dict.iter().filter_map(tensor).collect()
}

/// Copies a tensor's values out of its storage; `left` bytes may be used.
fn tensor<'a>(
    pickle: &Pickle,
    view: &TensorView,
    entry: &dyn Fn(&Storage) -> Option<&'a [u8]>,
    left: &mut usize,
) -> Result<Tensor, String> {
    let Value::Storage(storage) = pickle.get(view.storage) else { return Err("has no storage".to_owned()) };
    let (kind, width) =
        kind(storage.kind).ok_or_else(|| format!("holds {} values, which weights do not", storage.kind))?;
    let bytes = entry(storage).ok_or_else(|| format!("has no values: data/{} is missing", storage.entry))?;
    let values = bytes.len() / width;
    let fits = usize::try_from(storage.count).is_ok_and(|count| count <= values);
    let shape = Shape::of(view, values).filter(|_| fits).ok_or("is larger than its values")?;
    let size = shape.count * width;
    *left = left.checked_sub(size).ok_or("shares its values with too many others")?;
    let all = shape.start * width;
    let mut copied;
    let data = match shape.contiguous {
        true => &bytes[all..all + size],
        false => {
            copied = Vec::with_capacity(size);
            shape.each(&mut |index| copied.extend_from_slice(&bytes[index * width..(index + 1) * width]));
            copied.as_slice()
        }
    };
    Tensor::f_from_data_size(data, &view.size, kind).map_err(|error| crate::torch::first_line(&error))
}

fn kind(storage: &str) -> Option<(Kind, usize)> {
    Some(match storage {
        "Float" => (Kind::Float, 4),
        "Double" => (Kind::Double, 8),
        "Half" => (Kind::Half, 2),
        "BFloat16" => (Kind::BFloat16, 2),
        "Long" => (Kind::Int64, 8),
        _ => return None,
    })
}

/// A view whose every index was checked to be within its storage.
struct Shape {
    start: usize,
    count: usize,
    contiguous: bool,
    /// Size and stride of each side.
    sides: Vec<(usize, usize)>,
}

impl Shape {
    /// `None` for a view that reaches out of `values` values, or has more elements than those.
    fn of(view: &TensorView, values: usize) -> Option<Shape> {
        let number = |&n: &i64| usize::try_from(n).ok();
        let size: Vec<usize> = view.size.iter().map(number).collect::<Option<_>>()?;
        let stride: Vec<usize> = view.stride.iter().map(number).collect::<Option<_>>()?;
        if size.len() != stride.len() {
            return None;
        }
        let start = number(&view.offset)?;
        let count = size.iter().try_fold(1usize, |count, &side| count.checked_mul(side))?;
        let sides: Vec<(usize, usize)> = size.into_iter().zip(stride).collect();
        let reach = |last: usize, &(side, stride): &(usize, usize)| {
            last.checked_add(side.saturating_sub(1).checked_mul(stride)?)
        };
        let last = sides.iter().try_fold(start, reach)?;
        let inside = if count == 0 { start <= values } else { last < values && count <= values };
        let mut expected = 1;
        let contiguous = sides.iter().rev().all(|&(side, stride)| {
            let fits = stride == expected || side == 1;
            expected *= side;
            fits
        });
        inside.then_some(Shape { start, count, contiguous: contiguous || count == 0, sides })
    }

    /// Calls `f` with the index of every element, the last side fastest.
    fn each(&self, f: &mut dyn FnMut(usize)) {
        let mut at = vec![0; self.sides.len()];
        for _ in 0..self.count {
            f(self.start + at.iter().zip(&self.sides).map(|(index, (_, stride))| index * stride).sum::<usize>());
            for (index, (side, _)) in at.iter_mut().zip(&self.sides).rev() {
                *index += 1;
                if *index < *side {
                    break;
                }
                *index = 0;
            }
        }
    }
}
