//! The tests of recoding, in one program, which is compiled and linked once.

mod parts;
mod readers;
mod recode;
mod sent;
