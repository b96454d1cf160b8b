//! The journal: what a run did, as records that are durable before what follows from them.
