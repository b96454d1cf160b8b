//! rectify-apply
