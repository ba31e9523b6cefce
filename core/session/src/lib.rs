//! Engine thread, conversation, history, turn, event stream.
