//! The `pib` command.

fn main() -> std::process::ExitCode {
    cli::memory::bound();
    cli::run(std::env::args_os())
}
