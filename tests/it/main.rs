//! Tests of the program that need no broker: one binary, one module per concern.

mod cli;
mod crash;
mod faulty_store;
mod fencing;
mod lake;
mod layout;
mod rooms;
mod secrets;
mod unavailable_store;
