//! rectify-check
