//! The tests of the recoder, in one program: it is compiled and linked once.

mod parts;
mod readers;
mod recode;
mod sent;
