//! rectify-attest
