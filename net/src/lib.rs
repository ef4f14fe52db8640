//! Authenticated, encrypted links between members, dialled by public key
