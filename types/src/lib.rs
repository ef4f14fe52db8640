//! Vocabulary of PIB: ids, canonical encoding, domain-separated signatures, quorum arithmetic, limits
