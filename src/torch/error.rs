//! Errors of libtorch as one line, and tch panics as errors.
//!
//! libtorch's messages carry a C++ backtrace of dozens of lines, and tch's plain tensor methods (`conv2d`, `backward`,
//! …) panic with it where their `f_` twins return it. [`catch`] makes of such a panic an ordinary error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use tch::TchError;

/// An error of libtorch: the first line of its message, without the C++ backtrace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TorchError(pub String);

/// The result of a call into libtorch.
pub type Result<T> = std::result::Result<T, TorchError>;

impl TorchError {
    /// Keeps the first line of a C++ message that says something, without the place in libtorch's source it came from.
    pub(super) fn from_message(message: &str) -> Self {
        let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown libtorch error");
        let line = match line.strip_prefix("[enforce fail at ").and_then(|rest| rest.split_once("] ")) {
            // "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: …"
            Some((_, said)) => said.split_once(". ").map_or(said, |(_condition, message)| message),
            None => line,
        };
        TorchError(line.to_owned())
    }
}

impl From<TchError> for TorchError {
    fn from(error: TchError) -> Self {
        match &error {
            TchError::Torch(message) => TorchError::from_message(message),
            other => TorchError::from_message(&other.to_string()),
        }
    }
}

/// A tch error as one line, without the C++ backtrace.
pub fn first_line(error: &TchError) -> String {
    match error {
        TchError::Torch(message) => TorchError::from_message(message).0,
        other => TorchError::from_message(&other.to_string()).0,
    }
}

/// Runs `f` and turns a panic into an error of one line.
///
/// A panic by which tch reports a libtorch error prints nothing. Any other panic is a bug: it is printed with its
/// place, as always, and returned too, so that one failed run does not end a sweep.
///
/// Values that `f` was changing when it panicked may be half changed: drop them. Calls may nest.
///
/// # Errors
/// The message of the panic, cleaned.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T> {
    install_quiet_hook();
    let depth = Depth::enter();
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    drop(depth);
    outcome.map_err(|payload| {
        if let Some(error) = payload.downcast_ref::<TorchError>() {
            return error.clone();
        }
        let text = payload_text(payload.as_ref());
        tch_message(text).unwrap_or_else(|| TorchError::from_message(text))
    })
}

/// Leaves a module of tch, which cannot return an error, for the [`catch`] around it.
pub fn throw(error: TorchError) -> ! {
    panic::panic_any(error)
}

thread_local! {
    /// How many [`catch`] calls this thread is inside of.
    static CATCHING: Cell<usize> = const { Cell::new(0) };
}

struct Depth;

impl Depth {
    fn enter() -> Self {
        CATCHING.set(CATCHING.get() + 1);
        Depth
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        CATCHING.set(CATCHING.get() - 1);
    }
}

/// Wraps the panic hook once, so that other threads and other panics keep the hook they had.
fn install_quiet_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let torch =
                |payload: &(dyn Any + Send)| payload.is::<TorchError>() || tch_message(payload_text(payload)).is_some();
            let expected = CATCHING.get() > 0 && torch(info.payload());
            if !expected {
                previous(info);
            }
        }));
    });
}

fn payload_text(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().copied().unwrap_or("panic without a message"),
    }
}

/// The error in the panic of an `unwrap` on a [`TchError`], whose debug form is `Torch("…\n…")` with escapes.
fn tch_message(panic: &str) -> Option<TorchError> {
    let debug = panic.strip_prefix("called `Result::unwrap()` on an `Err` value: ")?;
    let (variant, quoted) = debug.split_once("(\"")?;
    if !matches!(variant, "Torch" | "Shape" | "Kind" | "Convert" | "FileFormat" | "MissingImage") {
        return None;
    }
    let mut message = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next() {
            None | Some('"') => break,
            Some('\\') => match chars.next() {
                Some('n') => message.push('\n'),
                Some('t') => message.push('\t'),
                Some(other) => message.push(other),
                None => break,
            },
            Some(other) => message.push(other),
        }
    }
    Some(TorchError::from_message(&message))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    fn ones(shape: &[i64]) -> Tensor {
        Tensor::ones(shape, (Kind::Float, Device::Cpu))
    }

    #[test]
    fn a_shape_error_becomes_one_line() {
        let error = catch(|| ones(&[2, 3]).matmul(&ones(&[4, 5]))).unwrap_err();
        assert_eq!(error.0, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)");
    }

    #[test]
    fn out_of_memory_becomes_one_line() {
        let error = catch(|| ones(&[1 << 46])).unwrap_err();
        assert!(error.0.starts_with("DefaultCPUAllocator: "), "{error}");
        assert!(!error.0.contains('\n'));
    }

    #[test]
    fn the_result_form_gives_the_same_line() {
        let error = ones(&[2, 3]).f_matmul(&ones(&[4, 5])).unwrap_err();
        assert_eq!(first_line(&error), "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)");
        assert_eq!(TorchError::from(error).to_string(), "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)");
    }

    #[test]
    fn values_pass_and_calls_nest() {
        let inner = catch(|| catch(|| ones(&[2]).reshape([3])).is_err());
        assert_eq!(inner, Ok(true));
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(CATCHING.get(), 0);
    }

    #[test]
    fn other_panics_are_errors_too_but_not_taken_for_torch() {
        assert_eq!(tch_message("index out of bounds"), None);
        assert_eq!(tch_message("called `Result::unwrap()` on an `Err` value: Io(\"x\")"), None);
        assert_eq!(catch(|| panic!("a bug\nsecond line")).unwrap_err(), TorchError("a bug".into()));
    }

    #[test]
    fn escapes_are_undone() {
        let panic = r#"called `Result::unwrap()` on an `Err` value: Torch("expected \"a\"\nException raised from x")"#;
        assert_eq!(tch_message(panic), Some(TorchError("expected \"a\"".into())));
    }
}
