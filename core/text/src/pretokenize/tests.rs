//! Scanners against the expressions that they stand for.
