//! The tests of the mailer without a runtime, in one program: it is compiled and linked once.

mod world;

mod batches;
mod driven;
mod dropped;
mod histories;
mod locks;
mod rules;
