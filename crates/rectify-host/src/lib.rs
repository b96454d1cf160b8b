//! rectify-host
