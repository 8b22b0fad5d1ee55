//! The program: parse the command line, dispatch, exit code.

mod cli;

use cli::{Arguments, Command};
use std::process::ExitCode;
use strata::emit;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { cli::BAD_INPUT } else { 0 };
            cli::print_refusal(&error);
            return ExitCode::from(code);
        }
    };
    strata::torch::keep_memory();
    arguments.shared.start_logging();
    let shared = &arguments.shared;
    if let Err(error) = strata::fault::arm() {
        emit(format_args!("error: {error}"));
        return ExitCode::from(cli::BAD_INPUT);
    }
    if let Err(error) = arguments.check() {
        return cli::exit_code(Err(error));
    }
    strata::torch::block_usr1();
    if let Command::Train(_) = &arguments.command {
        cli::train::start_watchdog();
    }
    // After the watchdog has forked, because the handler starts a thread.
    if let Err(error) = strata::interrupt::install() {
        tracing::warn!("Ctrl-C will not save the run: {error}");
    }
    let result = match &arguments.command {
        Command::Train(command) => cli::train::run(command, shared),
        Command::Sweep(command) => cli::sweep::run(command, shared),
        Command::Compare(command) => cli::compare::run(command, shared),
        Command::Diff(command) => cli::diff::run(command, shared),
        Command::Cost(command) => cli::cost::run(command, shared),
        Command::Show(command) => cli::show::run(command, shared),
        Command::Eval(command) => cli::eval::run(command, shared),
        Command::Predict(command) => cli::predict::run(command, shared),
        Command::Claims(command) => cli::claims::run(command, shared),
        Command::Study(command) => cli::study::run(command, shared),
        Command::Tables(command) => cli::tables::run(command, shared),
        Command::Bench(command) => cli::bench::run(command, shared),
        Command::Report(command) => cli::report::run(command, shared),
        Command::Export(command) => cli::export::run(command, shared),
        Command::Convert(command) => cli::convert::run(command, shared),
        Command::Fetch(command) => cli::fetch::run(command),
        Command::Doctor => cli::doctor::run(shared),
        Command::Completions(command) => cli::completions::run(command),
    };
    cli::exit_code(result)
}
