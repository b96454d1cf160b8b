//! Every bound of the compiler, in one place. What lies beyond a bound is refused with a code.

/// Deepest nesting of lists and mappings in a source file.
pub const YAML_DEPTH_MAX: usize = 32;
/// Most scalars, lists and mappings in a source file: room for 100,000 steps of a dozen properties.
pub const YAML_NODES_MAX: usize = 3_000_000;
/// Longest scalar of a source file.
pub const SCALAR_MAX_BYTES: usize = 1024 * 1024;
/// Most problems reported of one source file before its reading stops.
pub const FILE_PROBLEMS_MAX: usize = 50;
/// Most problems reported at all.
pub const PROBLEMS_MAX: usize = 200;
/// Longest expression.
pub const EXPRESSION_MAX_BYTES: usize = 1024;
/// Most nodes of an expression's syntax tree, macros expanded.
pub const EXPRESSION_NODES_MAX: usize = 256;
/// Deepest nesting of brackets in an expression.
pub const EXPRESSION_BRACKETS_MAX: usize = 24;
/// Deepest nesting of `all`, `exists`, `exists_one`, `filter` and `map`, one in another.
pub const EXPRESSION_MACROS_MAX: usize = 2;
/// Most rounds of all macros in one evaluation; so also the longest list that is walked.
pub const EVALUATION_ROUNDS_MAX: u64 = 4096;
/// Most bytes that one evaluation may build or match.
pub const EVALUATION_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most bytes of parameters, labels and variables that one expression sees.
pub const EVALUATION_INPUT_MAX_BYTES: usize = 64 * 1024;
/// Most memory for one compiled regular expression.
pub const REGEX_MAX_BYTES: usize = 1024 * 1024;
/// Longest text that a text with expressions may become.
pub const TEXT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Largest file in `templates/` or `files/`.
pub const TEXT_FILE_MAX_BYTES: usize = 1024 * 1024;
/// Most files in `templates/` and `files/`.
pub const TEXT_FILES_MAX: usize = 1000;
/// Most bytes of all files in `templates/` and `files/`.
pub const TEXT_FILES_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Longest that a gate may be retried, in seconds.
pub const WITHIN_MAX_S: u32 = 3600;
/// Most steps in flight at once that a project may ask for.
pub const PARALLEL_STEPS_MAX: i64 = 64;
/// Most elements of one `for_each`.
pub const ELEMENTS_MAX: usize = 1000;
/// Most steps of a graph, over all targets; those that are left out count, too, since they are looked at.
pub const GRAPH_NODES_MAX: usize = 200_000;
/// Most edges of a graph that were written, over all targets, with those that lead through steps that
/// are left out.
pub const GRAPH_EDGES_MAX: usize = 2_000_000;
/// Most changes of one plan that a project may ask for.
pub const CHANGES_MAX: i64 = 1_000_000;
