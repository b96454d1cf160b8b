//! Codes of this crate. Each has a page under `docs/errors/`.

rectify_base::codes! {
    /// The first line of an export is not a header, or not the header of this log.
    HEADER = "audit-header";
    /// A line of an export is not one record in canonical form.
    LINE = "audit-line";
    /// Sequence numbers have a gap, a repetition or another order.
    SEQ = "audit-seq";
    /// A record does not name the one before it.
    CHAIN = "audit-chain";
    /// What a record says in detail is not what its digest names, or contradicts the record.
    DETAIL = "audit-detail";
    /// Records that no run can have written.
    GRAMMAR = "audit-grammar";
    /// A checkpoint is not in the form that all read alike, or of another log.
    CHECKPOINT = "audit-checkpoint";
    /// No signature of the key is on a checkpoint, or it does not verify.
    SIGNATURE = "audit-signature";
    /// The log has fewer records than a checkpoint says.
    TRUNCATED = "audit-truncated";
    /// The records are not those that the checkpoint was made over.
    ROOT = "audit-root";
    /// The log is not a continuation of the earlier checkpoint.
    CONSISTENCY = "audit-consistency";
}
