//! rectify-provider-probe
