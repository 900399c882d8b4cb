//! Black-box tests through the real binary.
