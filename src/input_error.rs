//! Errors that say whose fault they are, so that the program can choose its exit code.

/// An error that knows whether it is the user's input that has to change (a file, an option, a dataset, a path), rather than
/// that something failed which had been asked for correctly.
pub trait IsInputError: std::error::Error + 'static {
    fn is_input_error(&self) -> bool {
        true
    }
}
