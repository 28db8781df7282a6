//! The tests of the recoder, in one program: it is compiled and linked once.

mod parts;
mod recode;
mod sent;
