//! The reference back end: plain f32, slow, obviously right.
