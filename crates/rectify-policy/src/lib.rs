//! rectify-policy
