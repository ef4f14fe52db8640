//! End-to-end, crash and power-cut tests against real processes
