//! `strata completions`

use super::{Arguments, Done, locate, print};
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, CommandFactory};
use clap_complete::Shell;

/// Print the tab completion script of a shell
///
/// In bash, Tab also completes the names of the files that are in experiments/ when this is run; run it again for new ones.
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
    // The scripts of other shells would offer the names alone, and no paths.
    let mut commands =
        if command.shell == Shell::Bash { with_names(Arguments::command()) } else { Arguments::command() };
    clap_complete::generate(command.shell, &mut commands, "strata", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Done::Well)
}

/// The command line with the names of all experiments as values of its arguments FILE.
fn with_names(commands: Command) -> Command {
    let names = PossibleValuesParser::new(locate::names());
    let name = |arg: Arg| match arg.get_value_names() {
        Some([value]) if arg.is_positional() && value == "FILE" => arg.value_parser(names.clone()),
        _ => arg,
    };
    commands.mut_subcommands(|command| command.mut_args(name))
}
