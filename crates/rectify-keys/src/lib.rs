//! rectify-keys
