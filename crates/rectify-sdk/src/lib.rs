//! rectify-sdk
