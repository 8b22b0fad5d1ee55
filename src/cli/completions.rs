//! `strata completions`

use super::{Arguments, Done, print};
use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print the tab completion script of a shell
#[derive(Args)]
#[command(after_help = "Examples:
  strata completions bash > ~/.local/share/bash-completion/completions/strata
  strata completions zsh > ~/.zfunc/_strata
  strata completions fish > ~/.config/fish/completions/strata.fish")]
pub(crate) struct Completions {
    /// Shell to complete for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(command: &Completions) -> Result<Done> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Arguments::command(), "strata", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Done::Well)
}
