//! Error codes of the compiler. Each is explained in `docs/errors`.

rectify_base::codes! {
    /// A source file is not UTF-8.
    YAML_ENCODING = "yaml-encoding";
    /// A source file is larger than 16 MiB.
    YAML_TOO_LARGE = "yaml-too-large";
    /// A character that cannot be seen, or that changes how the line is shown.
    YAML_HIDDEN_CHARACTER = "yaml-hidden-character";
    /// Not YAML.
    YAML_SYNTAX = "yaml-syntax";
    /// Nested deeper than 32 levels.
    YAML_DEPTH = "yaml-depth";
    /// More scalars, lists and mappings than a file may hold.
    YAML_TOO_MANY_NODES = "yaml-too-many-nodes";
    /// A scalar of more than 1 MiB.
    YAML_SCALAR_TOO_LONG = "yaml-scalar-too-long";
    /// Two keys of one mapping are equal.
    YAML_DUPLICATE_KEY = "yaml-duplicate-key";
    /// An anchor or an alias.
    YAML_ANCHOR = "yaml-anchor";
    /// A tag.
    YAML_TAG = "yaml-tag";
    /// The merge key `<<`.
    YAML_MERGE_KEY = "yaml-merge-key";
    /// A key that is empty, a list or a mapping.
    YAML_KEY = "yaml-key";
    /// More than one document in a file.
    YAML_DOCUMENTS = "yaml-documents";
    /// A file without content.
    YAML_EMPTY = "yaml-empty";
    /// A plain scalar that YAML readers read differently.
    YAML_AMBIGUOUS = "yaml-ambiguous";
    /// There is no project file.
    PROJECT_MISSING = "project-missing";
    /// A source file whose name does not fit its directory.
    PROJECT_FILE_NAME = "project-file-name";
    /// `apiVersion` is not one that this release reads.
    PROJECT_API_VERSION = "project-api-version";
    /// `kind` is unknown, or does not belong here.
    PROJECT_KIND = "project-kind";
    /// A required field is missing.
    PROJECT_MISSING_FIELD = "project-missing-field";
    /// A field that does not exist.
    PROJECT_UNKNOWN_FIELD = "project-unknown-field";
    /// A field holds another kind of value than expected.
    PROJECT_WRONG_TYPE = "project-wrong-type";
    /// A name breaks the spelling rule.
    PROJECT_NAME = "project-name";
    /// A field holds a value that is not allowed.
    PROJECT_VALUE = "project-value";
    /// A word that is reserved for something that this release cannot do yet.
    PROJECT_NOT_AVAILABLE = "project-not-available";
    /// More problems were found than are shown.
    PROJECT_TOO_MANY_PROBLEMS = "project-too-many-problems";
    /// Two remediations have one name.
    REMEDIATION_DUPLICATE = "remediation-duplicate";
    /// A remediation was asked for that does not exist.
    REMEDIATION_UNKNOWN = "remediation-unknown";
    /// A step or gate without a type, or with several.
    REMEDIATION_STEP_TYPE = "remediation-step-type";
    /// A probe stands among the steps.
    REMEDIATION_PROBE_STEP = "remediation-probe-step";
    /// Something else than a probe stands in `verify`.
    REMEDIATION_GATE_TYPE = "remediation-gate-type";
    /// What `for_each` goes through is no list of texts or mapping, or an element has no usable name.
    REMEDIATION_FOR_EACH = "remediation-for-each";
    /// The definition of a parameter contradicts itself.
    REMEDIATION_PARAMETER = "remediation-parameter";
    /// A parameter has no value.
    REMEDIATION_PARAMETER_VALUE = "remediation-parameter-value";
    /// Two modules have one name.
    MODULE_DUPLICATE = "module-duplicate";
    /// A call names a module that does not exist.
    MODULE_UNKNOWN = "module-unknown";
    /// A call gives a parameter that the module does not take, or not the one it needs.
    MODULE_ARGUMENT = "module-argument";
    /// Modules call each other in a circle, or too deep.
    MODULE_NESTING = "module-nesting";
    /// Two targets or groups have one name, or a group holds a target twice.
    INVENTORY_DUPLICATE = "inventory-duplicate";
    /// A group holds a target that does not exist.
    INVENTORY_UNKNOWN_TARGET = "inventory-unknown-target";
    /// There is no target at all.
    INVENTORY_EMPTY = "inventory-empty";
    /// A root directory that is not allowed.
    INVENTORY_ROOT = "inventory-root";
    /// A type that no provider offers.
    TYPE_UNKNOWN = "type-unknown";
    /// A provider's manifest contradicts itself.
    TYPE_MANIFEST = "type-manifest";
    /// Two providers have one type.
    TYPE_CLAIMED_TWICE = "type-claimed-twice";
    /// A property that the type does not have.
    TYPE_UNKNOWN_PROPERTY = "type-unknown-property";
    /// A required property is missing.
    TYPE_MISSING_PROPERTY = "type-missing-property";
    /// A property of another type than expected.
    TYPE_MISMATCH = "type-mismatch";
    /// A text that does not match the pattern.
    TYPE_PATTERN = "type-pattern";
    /// A value that is not one of the allowed ones.
    TYPE_ENUM = "type-enum";
    /// A number that is too small or too large.
    TYPE_RANGE = "type-range";
    /// A text, list or mapping that is too short or too long.
    TYPE_LENGTH = "type-length";
    /// A value that breaks another rule of the type's schema.
    TYPE_INVALID = "type-invalid";
    /// A path in `template` or `file` that does not lead into `templates/` or `files/`.
    TEXT_FILE_PATH = "text-file-path";
    /// A file that is named and not there.
    TEXT_FILE_UNKNOWN = "text-file-unknown";
    /// A file that a text is taken from is not UTF-8.
    TEXT_FILE_ENCODING = "text-file-encoding";
    /// A file that a text is taken from is larger than 1 MiB.
    TEXT_FILE_TOO_LARGE = "text-file-too-large";
    /// Not an expression.
    EXPR_SYNTAX = "expr-syntax";
    /// `${{` without `}}`.
    EXPR_UNTERMINATED = "expr-unterminated";
    /// An expression that is too long.
    EXPR_TOO_LONG = "expr-too-long";
    /// An expression with too many parts, or nested too deeply.
    EXPR_TOO_COMPLEX = "expr-too-complex";
    /// Macros nested too deeply.
    EXPR_MACRO_NESTING = "expr-macro-nesting";
    /// A literal or function that expressions here do not have.
    EXPR_FORBIDDEN = "expr-forbidden";
    /// A name that is not there.
    EXPR_UNKNOWN_NAME = "expr-unknown-name";
    /// A label, variable or key that the value does not have.
    EXPR_UNKNOWN_KEY = "expr-unknown-key";
    /// A name that is reserved for something that this release cannot do yet.
    EXPR_NOT_AVAILABLE = "expr-not-available";
    /// A fact that was not read, although an expression asks for it.
    FACT_NOT_READ = "fact-not-read";
    /// Evaluation failed.
    EXPR_EVALUATION = "expr-evaluation";
    /// Evaluation would take more work than allowed.
    EXPR_WORK = "expr-work";
    /// The result cannot stand in a text.
    EXPR_NOT_TEXT = "expr-not-text";
    /// The result of a selection or condition is not true or false.
    EXPR_NOT_BOOL = "expr-not-bool";
    /// The result has no form in a graph.
    EXPR_RESULT = "expr-result";
    /// A secret that is used otherwise than to be put into a text.
    EXPR_SECRET = "expr-secret";
    /// A secret in a property that does not take any.
    SECRET_NOT_HERE = "secret-not-here";
    /// An expression where only literal text is read.
    EXPR_NOT_HERE = "expr-not-here";
    /// Nothing was asked for.
    GRAPH_EMPTY = "graph-empty";
    /// A remediation selects no target.
    GRAPH_EMPTY_SELECTION = "graph-empty-selection";
    /// A selection asks for a label or variable that only some targets have.
    GRAPH_UNDECIDED_SELECTION = "graph-undecided-selection";
    /// `after` or `on_change` names a step that does not exist.
    GRAPH_UNKNOWN_STEP = "graph-unknown-step";
    /// Steps wait for each other.
    GRAPH_CYCLE = "graph-cycle";
    /// Two steps write one thing without an order between them.
    GRAPH_CONFLICT = "graph-conflict";
    /// More steps, elements or edges than a graph may have.
    GRAPH_TOO_LARGE = "graph-too-large";
    /// A path that is not absolute and normal.
    GRAPH_PATH = "graph-path";
}
