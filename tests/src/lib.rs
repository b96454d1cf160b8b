//! rectify-tests
