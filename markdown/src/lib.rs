//! Text to memory and back.
