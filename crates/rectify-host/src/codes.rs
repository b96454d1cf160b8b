//! Error codes of this crate.

rectify_base::codes! {
    /// The program of a provider cannot be read or copied.
    PROVIDER_PROGRAM = "provider-program";
    /// The program of a provider is not the one that was locked.
    PROVIDER_DIGEST_MISMATCH = "provider-digest-mismatch";
    /// The provider could not be started.
    PROVIDER_LAUNCH = "provider-launch";
    /// A session that must not change anything could not be confined.
    PROVIDER_CONFINEMENT = "provider-confinement";
    /// No greeting in time.
    PROVIDER_HANDSHAKE_TIMEOUT = "provider-handshake-timeout";
    /// Too much other output before the greeting.
    PROVIDER_PREAMBLE = "provider-preamble";
    /// The greeting belongs to another session.
    PROVIDER_NONCE = "provider-nonce";
    /// No common protocol version.
    PROVIDER_VERSION = "provider-version";
    /// The provider is not what its manifest says.
    PROVIDER_MANIFEST_MISMATCH = "provider-manifest-mismatch";
    /// A line is not JSON.
    PROVIDER_GARBAGE = "provider-garbage";
    /// A line is longer than the limit.
    PROVIDER_FRAME_TOO_LARGE = "provider-frame-too-large";
    /// An answer to a question that was never asked.
    PROVIDER_ANSWER_UNKNOWN = "provider-answer-unknown";
    /// A second answer to one question.
    PROVIDER_ANSWER_TWICE = "provider-answer-twice";
    /// Fewer or more answers than items.
    PROVIDER_ANSWER_COUNT = "provider-answer-count";
    /// An answer of another shape.
    PROVIDER_ANSWER_SHAPE = "provider-answer-shape";
    /// An answer claims more than the manifest allows.
    PROVIDER_OVERCLAIM = "provider-overclaim";
    /// The provider asked the engine for something.
    PROVIDER_REQUEST = "provider-request";
    /// The provider refused a request as a whole.
    PROVIDER_REFUSED = "provider-refused";
    /// The provider ended while it was needed.
    PROVIDER_EXITED = "provider-exited";
    /// An answer did not come in time.
    PROVIDER_DEADLINE = "provider-deadline";
    /// No sign of life.
    PROVIDER_UNRESPONSIVE = "provider-unresponsive";
    /// What an operation did is not known.
    PROVIDER_UNKNOWN_OUTCOME = "provider-unknown-outcome";
    /// The private directories of a session are missing or not private.
    HOST_DIRECTORIES = "host-directories";
    /// The session's mode does not allow the request.
    HOST_MODE = "host-mode";
    /// An item names a type that the manifest does not have.
    HOST_UNKNOWN_TYPE = "host-unknown-type";
    /// One item is longer than a frame.
    HOST_ITEM_TOO_LARGE = "host-item-too-large";
    /// A blob is larger than its receiver takes.
    HOST_BLOB_TOO_LARGE = "host-blob-too-large";
    /// A blob has other bytes than its digest says.
    PROVIDER_BLOB_DIGEST = "provider-blob-digest";
    /// The session has ended.
    HOST_SESSION_OVER = "host-session-over";
    /// The engine ended the session while it was needed.
    HOST_SESSION_KILLED = "host-session-killed";
    /// The operating system refused something that the engine needs.
    HOST_SYSTEM = "host-system";
}
