//! The daemon.

fn main() -> std::process::ExitCode {
    tokenrouter::cli::torod()
}
