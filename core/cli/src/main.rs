//! The command line of Inkling.

fn main() {}
