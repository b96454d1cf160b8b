//! Codes of policies, also of the child process that evaluates them.

rectify_base::codes! {
    /// A file of the bundle is neither a `.rego` file nor `data.json`, or its path is not plain.
    POLICY_FILE = "policy-file";
    /// The bundle, one of its files or one of its lines is too large.
    POLICY_TOO_LARGE = "policy-too-large";
    /// A file is not Rego v1.
    POLICY_SYNTAX = "policy-syntax";
    /// A `data.json` is not a JSON object, redefines the package, or contradicts another one.
    POLICY_DATA = "policy-data";
    /// No rule `allow` in package `rectify`.
    POLICY_NO_ALLOW = "policy-no-allow";
    /// A policy asks for a field that the input never has.
    POLICY_UNKNOWN_INPUT_FIELD = "policy-unknown-input-field";
    /// A rule or function is defined by itself.
    POLICY_RECURSION = "policy-recursion";
    /// Rules are stacked, or brackets are nested, too deeply.
    POLICY_TOO_DEEP = "policy-too-deep";
    /// A rule of package `rectify` that nothing asks for.
    POLICY_UNUSED_RULE = "policy-unused-rule";
    /// A function that would make decisions irreproducible.
    POLICY_FORBIDDEN_BUILTIN = "policy-forbidden-builtin";
    /// A test of the bundle fails.
    POLICY_TEST_FAILED = "policy-test-failed";
    /// A `deny`, `warn` or `require_approval` rule that no passing test fires.
    POLICY_RULE_UNTESTED = "policy-rule-untested";
    /// Evaluation ended in an error.
    POLICY_EVALUATION = "policy-evaluation";
    /// A rule that decides is undefined.
    POLICY_UNDEFINED = "policy-undefined";
    /// A rule that decides has a value of the wrong type.
    POLICY_WRONG_TYPE = "policy-wrong-type";
    /// The policy did not finish in time.
    POLICY_TIMEOUT = "policy-timeout";
    /// The policy wanted more memory than it may have.
    POLICY_MEMORY = "policy-memory";
    /// The policy brought its process down.
    POLICY_CRASHED = "policy-crashed";
    /// The process that evaluates policies could not be started or confined.
    POLICY_CHILD = "policy-child";
    /// The process that evaluates policies did not answer as agreed.
    POLICY_ANSWER = "policy-answer";
}
