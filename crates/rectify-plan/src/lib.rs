//! rectify-plan
