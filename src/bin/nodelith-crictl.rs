//! A small client for container runtimes, with crictl's command line; see `docs/crictl.md`.

fn main() -> std::process::ExitCode {
    nodelith::cri::main()
}
