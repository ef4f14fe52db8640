//! Real links on loopback: who gets in, what arrives, what hostile peers can do.

mod bulk;
mod connect;
mod control;
mod forged;
mod hostile;
mod measure;
mod memory;
mod support;
