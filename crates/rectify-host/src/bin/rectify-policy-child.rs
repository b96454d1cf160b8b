//! The child that evaluates policies, as an executable of its own for tests. The `rectify`
//! executable does the same for `rectify policy-child`.

fn main() -> std::process::ExitCode {
    rectify_host::policy::child_main()
}
