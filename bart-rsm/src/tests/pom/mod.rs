//! Proofs of misbehavior: one generator and near misses a kind, files, and what a group collects.

mod collected;
mod files;
mod kinds;
mod make;
mod near;
