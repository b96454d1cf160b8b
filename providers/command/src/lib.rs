//! rectify-provider-command
