//! The provider `service` as an executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    rectify_sdk::serve(rectify_provider_service::provider())
}
