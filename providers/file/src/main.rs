//! The provider `file` as an executable of its own.

fn main() -> std::process::ExitCode {
    rectify_sdk::serve(rectify_provider_file::provider())
}
