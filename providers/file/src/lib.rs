//! rectify-provider-file
