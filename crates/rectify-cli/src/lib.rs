//! rectify-cli
