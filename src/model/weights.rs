//! Weights in files under the parameter names: safetensors, and `torch.save`'s where they are read.

use super::{Model, torch_file};
use crate::files;
use crate::input_error::IsInputError;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// A file of tensors that cannot be read, written, or loaded into the network.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("cannot read {path}: {reason}")]
    Read { path: PathBuf, reason: String },
    #[error(
        "cannot read {path}: {reason}; in Python:\n  \
         import torch, safetensors.torch\n  \
         safetensors.torch.save_file({load}, {converted:?}){warning}",
        load = python_load(path, reason),
        converted = .path.with_extension("safetensors"),
        warning = if runs_code(reason) { "\nonly for a file from a source you trust: this runs the code in it" } else { "" }
    )]
    PyTorch { path: PathBuf, reason: String },
    #[error("cannot write {path}: {reason}")]
    Write { path: PathBuf, reason: String },
    #[error("{path} has no tensor `{name}`; the file is not one of this network")]
    Missing { path: PathBuf, name: String },
    #[error("{path}: `{name}` has shape {found:?}, the network needs {wanted:?}")]
    Shape { path: PathBuf, name: String, found: Vec<i64>, wanted: Vec<i64> },
    #[error("{path} has a tensor `{}` that the network does not know", shown(.name))]
    Unknown { path: PathBuf, name: String },
    #[error("{path}: `{}` holds {dtype:?} values; F32, F64, F16 and BF16 can be read", shown(.name))]
    Kind { path: PathBuf, name: String, dtype: Dtype },
}

impl IsInputError for WeightsError {}

/// Whether loading a file of PyTorch runs code that is in it.
fn runs_code(reason: &str) -> bool {
    reason.contains(torch_file::RUNS_CODE)
}

/// The Python expression that loads the tensors of a file which Strata does not read.
fn python_load(path: &Path, reason: &str) -> String {
    match runs_code(reason) {
        // A whole module, as `torch.save(model)` writes it.
        true => format!("torch.load({path:?}, map_location=\"cpu\", weights_only=False).state_dict()"),
        false => format!("torch.load({path:?}, map_location=\"cpu\", weights_only=True)"),
    }
}

/// A name from a file as errors print it: control characters escaped, long names cut.
fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let end = if name.chars().nth(LONGEST).is_some() { "…" } else { "" };
    name.chars().take(LONGEST).flat_map(char::escape_debug).chain(end.chars()).collect()
}

/// Writes tensors as a safetensors file, atomically.
///
/// # Errors
/// When the file cannot be written; a previous file is then intact.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), WeightsError> {
    let fail = |reason: String| WeightsError::Write { path: path.to_owned(), reason };
    let bytes = tensor_bytes(tensors).map_err(|error| fail(error.to_string()))?;
    files::write_atomic(path, &bytes).map_err(|error| fail(error.to_string()))
}

/// A safetensors file in memory: int64 tensors as I64, all others as F32.
///
/// # Errors
/// When safetensors cannot serialise them.
pub fn tensor_bytes(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, SafeTensorError> {
    let mut stored = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let (kind, dtype) = match tensor.kind() {
            Kind::Int64 => (Kind::Int64, Dtype::I64),
            _ => (Kind::Float, Dtype::F32),
        };
        let flat = tensor.detach().to_device(tch::Device::Cpu).to_kind(kind).contiguous();
        let bytes = bytes_of(&flat, kind);
        let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
        stored.push((name.clone(), dtype, shape, bytes));
    }
    let views = stored
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.clone(), view))
        })
        .collect::<Result<Vec<_>, _>>()?;
    safetensors::serialize(views, None)
}

/// The values of a tensor as little-endian floats, the last dimension fastest.
pub fn float_bytes(tensor: &Tensor) -> Vec<u8> {
    bytes_of(&tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous(), Kind::Float)
}

fn bytes_of(tensor: &Tensor, kind: Kind) -> Vec<u8> {
    let count = tensor.numel();
    let width = if kind == Kind::Int64 { 8 } else { 4 };
    let mut bytes = vec![0u8; count * width];
    tensor.copy_data_u8(&mut bytes, count);
    bytes
}

/// Reads every tensor of a file: safetensors, or `torch.save`'s archives of plain tensors.
///
/// # Errors
/// When the file is missing or damaged, holds more than tensors, or values that are not floats.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let fail = |error: std::io::Error| WeightsError::Read { path: path.to_owned(), reason: error.to_string() };
    parse_tensors(&std::fs::read(path).map_err(fail)?, path)
}

/// Parses a file in memory as [`read_tensors`] does; `path` is its name in errors.
///
/// # Errors
/// See [`read_tensors`].
pub fn parse_tensors(bytes: &[u8], path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let fail = |reason: String| WeightsError::Read { path: path.to_owned(), reason };
    let of_torch = |reason: String| WeightsError::PyTorch { path: path.to_owned(), reason };
    if torch_file::is_archive(bytes) {
        return torch_file::read(bytes)
            .map_err(|problem| of_torch(format!("it was written by torch.save, but {problem}")));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|error| match is_pickle(bytes) {
        true => {
            of_torch("it was written by torch.save in the format before PyTorch 1.6, or is another pickle".to_owned())
        }
        false => fail(format!("not a safetensors file ({error})")),
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::I64 => Kind::Int64,
            dtype => return Err(WeightsError::Kind { path: path.to_owned(), name, dtype }),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
            .map_err(|error| fail(crate::torch::first_line(&error)))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Whether a file begins as a pickle does, which is what `torch.save` wrote before PyTorch 1.6.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

impl Model {
    /// All parameters and buffers with their names.
    pub fn named_tensors(&self) -> Vec<(String, Tensor)> {
        self.params().iter().map(|(param, tensor)| (param.name.clone(), tensor.shallow_clone())).collect()
    }

    /// Copies weights from a model of the same plan; its input size may be another.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, because the plan's parameters depend on the input size.
    pub fn copy_weights(&mut self, tensors: &[(String, Tensor)]) -> Result<(), WeightsError> {
        let tensors = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        self.take_weights(tensors, Path::new("the run"))
    }

    /// Loads all weights from a file. PyTorch's `num_batches_tracked` counters are ignored, and so are auxiliary heads where the
    /// network has none or was built without them.
    ///
    /// # Errors
    /// When a tensor is missing, unknown or has another shape: the file belongs to another network.
    pub fn load_weights(&mut self, path: &Path) -> Result<(), WeightsError> {
        self.take_weights(read_tensors(path)?, path)
    }

    fn take_weights(&mut self, mut tensors: BTreeMap<String, Tensor>, path: &Path) -> Result<(), WeightsError> {
        let has_aux = self.segments.iter().any(|segment| segment.head.is_some());
        let _no_grad = tch::no_grad_guard();
        for (param, tensor) in &self.params {
            let path = path.to_owned();
            let Some(read) = tensors.remove(&param.name) else {
                return Err(WeightsError::Missing { path, name: param.name.clone() });
            };
            if read.size() != param.shape {
                let (name, wanted) = (param.name.clone(), param.shape.clone());
                return Err(WeightsError::Shape { path, name, found: read.size(), wanted });
            }
            tensor.shallow_clone().copy_(&read);
        }
        let of_absent_head = |name: &str| {
            let torchvision = ["aux1.", "aux2."];
            let absent = self.absent_heads.iter().map(String::as_str);
            !has_aux && torchvision.into_iter().chain(absent).any(|prefix| name.starts_with(prefix))
        };
        let spare = |name: &String| name.ends_with("num_batches_tracked") || of_absent_head(name);
        match tensors.into_keys().find(|name| !spare(name)) {
            Some(name) => Err(WeightsError::Unknown { path: path.to_owned(), name }),
            None => Ok(()),
        }
    }
}
