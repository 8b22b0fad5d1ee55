//! What clap refuses, with hints that it cannot know.

use super::locate::locate;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use strata::config::key_of_word;
use strata::emit;

/// Prints what clap refuses, and help and version. An experiment instead of a command, and an
/// option that is a key of experiments, get the way to write it.
pub(crate) fn print_refusal(error: &clap::Error) {
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
        && locate(word).is_ok()
    {
        return emit(format_args!("error: `{word}` is an experiment; the command comes first: `strata train {word}`"));
    }
    let option = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) => Some(option),
        _ => None,
    };
    let key = option.and_then(|option| key_of_word(&option.trim_start_matches('-').replace('-', "_")));
    match option.zip(key) {
        Some((option, key)) => emit(format_args!(
            "error: there is no option `{option}`; keys of an experiment are changed with `--set {key}=VALUE`"
        )),
        None => drop(error.print()),
    }
}
