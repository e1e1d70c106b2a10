//! Tests of the program that need no broker: one binary, one module per concern.

#[path = "../power_cut/mod.rs"]
mod disk;
#[path = "../planted/mod.rs"]
mod planted;

mod audit;
mod beliefs;
mod broken_files;
mod cli;
mod breakage;
mod crash;
mod explain;
mod faulty_store;
mod fencing;
mod generate;
mod input;
mod investigate;
mod lake;
mod layout;
mod maintain;
mod maintain_power_cut;
mod object_store;
mod portable;
mod power_cut;
mod prompt;
mod reach;
mod report;
mod rooms;
mod secrets;
mod time_travel;
mod unavailable_store;
mod upload_status;
