//! rectify-compile
