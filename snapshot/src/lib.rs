//! Files to objects and back, in restic's repository format, with PIB as the storage backend
