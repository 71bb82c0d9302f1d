//! The client.

fn main() -> std::process::ExitCode {
    tokenrouter::cli::toro()
}
