//! Deterministic simulation of a whole group from a seed
