//! What `--device` names.

use super::Usage;
use strata::config::nearest;
use strata::torch::MAX_GPU;

/// A device as it is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The first GPU if there is one, else the processor.
    Auto,
    Cpu,
    Gpu(usize),
}

/// Names that stand for a GPU elsewhere.
const GPU_WORDS: [&str; 4] = ["gpu", "nvidia", "cuda", "cuda:"];
/// Devices that other libraries know.
const ELSEWHERE: [&str; 10] = ["mps", "metal", "rocm", "hip", "xpu", "tpu", "xla", "npu", "vulkan", "opencl"];

/// Reads the value of `--device`.
///
/// # Errors
/// Any other word, with the nearest of the allowed ones.
pub(super) fn parse(word: &str) -> Result<Named, Usage> {
    match word {
        "auto" => return Ok(Named::Auto),
        "cpu" => return Ok(Named::Cpu),
        "cuda" => return Ok(Named::Gpu(0)),
        _ => {}
    }
    match word.strip_prefix("cuda:").map(str::parse::<usize>) {
        Some(Ok(number)) if number <= MAX_GPU => Ok(Named::Gpu(number)),
        Some(Ok(number)) => Err(Usage(format!("--device cuda:N takes an N of 0 to {MAX_GPU}, not {number}"))),
        _ => Err(Usage(format!("--device is auto, cpu, cuda or cuda:N, not `{word}`{}", hint(word)))),
    }
}

/// The suggestion at the end of the error message; empty where no word is near.
fn hint(word: &str) -> String {
    let lower = word.trim().to_lowercase();
    let (letters, number) = lower.split_at(lower.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let name = letters.trim_end_matches([':', '-', '_', ' ']);
    let suggestion = match number {
        _ if ELSEWHERE.contains(&name) => {
            return format!("; only NVIDIA GPUs are supported: use cpu instead of `{word}`");
        }
        "" if GPU_WORDS.contains(&name) => "cuda".to_owned(),
        number if !number.is_empty() && (name.is_empty() || GPU_WORDS.contains(&name)) => format!("cuda:{number}"),
        _ => match nearest(name, &["auto", "cpu", "cuda"]) {
            Some(near) => near.to_owned(),
            None => return String::new(),
        },
    };
    format!("; did you mean `{suggestion}`?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_libraries_are_translated() {
        let said = |word: &str| parse(word).unwrap_err().0;
        for (word, suggestion) in [
            ("gpu", "cuda"),
            ("GPU", "cuda"),
            ("gpu:1", "cuda:1"),
            ("cuda0", "cuda:0"),
            ("cuda-2", "cuda:2"),
            ("0", "cuda:0"),
            ("CPU", "cpu"),
            ("cpu:0", "cpu"),
            ("cudda", "cuda"),
            ("cuda:x", "cuda"),
        ] {
            let error = said(word);
            let whole = format!("--device is auto, cpu, cuda or cuda:N, not `{word}`; did you mean `{suggestion}`?");
            assert_eq!(error, whole);
        }
        assert!(said("mps").ends_with("only NVIDIA GPUs are supported: use cpu instead of `mps`"));
        assert!(said("toaster").ends_with("not `toaster`"));
        assert_eq!(parse("cuda:3").ok(), Some(Named::Gpu(3)));
    }
}
