//! For tests only: writers of small GGUFs, golden data, the back-end conformance suite.
