//! rectify-engine
