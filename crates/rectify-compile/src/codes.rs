//! Error codes of the compiler.

rectify_base::codes! {
    /// There is no project file.
    PROJECT_MISSING = "project-missing";
}
