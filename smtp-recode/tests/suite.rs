//! The tests of recoding, in one program, which is compiled and linked once.

mod fields;
mod parts;
mod readers;
mod recode;
mod rejected;
mod sent;
