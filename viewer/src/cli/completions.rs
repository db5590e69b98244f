//! `diag completions SHELL`: a script for the shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::exit::{End, Failure};
use super::output::print_bytes;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  diag completions bash > ~/.local/share/bash-completion/completions/diag\n  diag completions zsh > ~/.zfunc/_diag"
)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<End, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "diag", &mut script);
    print_bytes(&script)?;
    Ok(End::Clean)
}
