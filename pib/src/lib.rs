//! Storing and retrieving with accountable storers: level 2 of PIB, pure
