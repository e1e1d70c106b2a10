//! Tests of the program that need no broker: one binary, one module per concern.

mod crash;
mod faulty_store;
mod lake;
mod rooms;
