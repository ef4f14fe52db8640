//! The daemon: the only place where effects happen
