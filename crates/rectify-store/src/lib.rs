//! rectify-store
