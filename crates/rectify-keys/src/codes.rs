//! The codes of this crate; `docs/errors/<code>.md` explains each.

rectify_base::codes! {
    /// A key file is missing, unreadable, too large or not a regular file.
    KEY_FILE_READ = "key-file-read";
    /// A private key can be read by others, or belongs to somebody else.
    KEY_FILE_MODE = "key-file-mode";
    /// A private key is in no format that we read.
    KEY_FORMAT = "key-format";
    /// The private key is encrypted and no passphrase was given.
    KEY_PASSPHRASE_NEEDED = "key-passphrase-needed";
    /// The passphrase does not open the private key.
    KEY_PASSPHRASE_WRONG = "key-passphrase-wrong";
    /// The public half in a private key file is not that of the private half.
    KEY_MISMATCH = "key-mismatch";
    /// There is no ssh-agent to be reached.
    KEY_AGENT_MISSING = "key-agent-missing";
    /// The ssh-agent does not hold the key.
    KEY_AGENT_KEY = "key-agent-key";
    /// The ssh-agent's answer cannot be understood, or did not come in time.
    KEY_AGENT_ANSWER = "key-agent-answer";
    /// A key file is there already, and is never overwritten.
    KEY_EXISTS = "key-exists";
    /// A key could not be made or written.
    KEY_WRITE = "key-write";
    /// The trust file is missing, unreadable, too large or not a regular file.
    TRUST_READ = "trust-read";
    /// Others may write the trust file, or it belongs to somebody else.
    TRUST_FILE_MODE = "trust-file-mode";
    /// The trust file is not strict YAML of the expected shape.
    TRUST_YAML = "trust-yaml";
    /// The trust file is of a format that this release does not know.
    TRUST_FORMAT = "trust-format";
    /// A time or a duration in the trust file cannot be read.
    TRUST_TIME = "trust-time";
    /// A name in the trust file breaks the spelling rule.
    TRUST_NAME = "trust-name";
    /// A digest in the trust file cannot be read.
    TRUST_DIGEST = "trust-digest";
    /// A trust file is there already, and a new one does not replace it.
    TRUST_EXISTS = "trust-exists";
    /// The trust file could not be written.
    TRUST_WRITE = "trust-write";
}
