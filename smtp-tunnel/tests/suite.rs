//! The tests of smtp-tunnel.
