//! Black-box tests through the real binary, and checks over the source itself.

mod tidy;
