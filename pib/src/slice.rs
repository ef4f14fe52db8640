//! Verified slices: a small piece of a chunk that proves by itself that its sender has that place of the
//! chunk (specification 7.9, Appendix C.10).
//!
//! Purpose: an owner finds out that a storer threw data away long before it needs the data. The digest in
//! a StoreInfo is BLAKE3, a tree hash: 1 KiB of the chunk together with the digests along its path in the
//! tree is checked against that digest alone, and the owner needs no copy.
//!
//! Guarantees: 1. what [`check`] accepts are the chunk's bytes at that place; 2. a storer that does not have
//! the bytes cannot answer, whatever else it kept. Bounds: an answer has at most [`PROOF_LEN_MAX`] bytes.

use bao::{decode::SliceDecoder, encode};
use std::io::{Cursor, Read as _};
use types::Hash;

/// Bytes of one slice; slices start at multiples of it.
pub const SLICE_LEN: u64 = 1024;
/// Bytes of the longest answer: a slice, the chunk's length, and two digests for each of at most 17 levels.
pub const PROOF_LEN_MAX: usize = SLICE_LEN as usize + 8 + 17 * 64;

const _: () = assert!(types::limits::CHUNK_LEN_MAX as u64 <= SLICE_LEN << 17);

/// Whether a slice of a chunk of `size` bytes can start here.
pub fn is_start(start: u64, size: u64) -> bool {
    start.is_multiple_of(SLICE_LEN) && start < size
}

/// The slice that starts here, with its path. `None` if [`is_start`] says no.
pub fn cut(body: &[u8], start: u64) -> Option<Vec<u8>> {
    if !is_start(start, body.len() as u64) {
        return None;
    }
    let (outboard, _) = encode::outboard(body);
    let (body, outboard) = (Cursor::new(body), Cursor::new(outboard));
    let mut proof = Vec::with_capacity(PROOF_LEN_MAX);
    // Reading from memory does not fail.
    encode::SliceExtractor::new_outboard(body, outboard, start, SLICE_LEN)
        .read_to_end(&mut proof)
        .ok()?;
    Some(proof)
}

/// The chunk's bytes from `start` on, if the answer proves them against the chunk's digest.
pub fn check(hash: Hash, size: u64, start: u64, proof: &[u8]) -> Option<Vec<u8>> {
    if proof.len() > PROOF_LEN_MAX || !is_start(start, size) {
        return None;
    }
    let mut slice = Vec::with_capacity(SLICE_LEN as usize);
    let mut input = proof;
    let root = bao::Hash::from(hash.0);
    SliceDecoder::new(&mut input, &root, start, SLICE_LEN).read_to_end(&mut slice).ok()?;
    let expected = SLICE_LEN.min(size - start);
    (input.is_empty() && slice.len() as u64 == expected).then_some(slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(len: usize) -> Vec<u8> {
        (0..len as u64).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
    }

    #[test]
    fn slice_at_every_place_proves_itself() {
        for len in [1, 1023, 1024, 1025, 4096, 100_000, 1 << 20] {
            let body = body(len);
            let hash = Hash::of(&body);
            for start in (0..len as u64).step_by(SLICE_LEN as usize * 7) {
                let proof = cut(&body, start).unwrap();
                assert!(proof.len() <= PROOF_LEN_MAX);
                let slice = check(hash, len as u64, start, &proof).unwrap();
                let at = start as usize;
                assert_eq!(slice, body[at..len.min(at + SLICE_LEN as usize)], "{len} {start}");
            }
        }
    }

    #[test]
    fn slice_of_the_largest_chunk_fits() {
        let body = vec![7; types::limits::CHUNK_LEN_MAX];
        let start = (body.len() as u64 - 1) / SLICE_LEN * SLICE_LEN;
        for start in [0, start] {
            let proof = cut(&body, start).unwrap();
            assert!(proof.len() <= PROOF_LEN_MAX, "{}", proof.len());
            assert!(check(Hash::of(&body), body.len() as u64, start, &proof).is_some());
        }
    }

    #[test]
    fn slice_of_another_place_or_chunk_proves_nothing() {
        let body = body(20_000);
        let (hash, len) = (Hash::of(&body), body.len() as u64);
        let proof = cut(&body, 2048).unwrap();
        assert!(check(hash, len, 3072, &proof).is_none());
        assert!(check(Hash::of(b"other"), len, 2048, &proof).is_none());
        // Places where no slice starts.
        for start in [1, 2049, 20_480, u64::MAX - 1023] {
            assert!(cut(&body, start).is_none());
            assert!(check(hash, len, start, &proof).is_none());
        }
    }

    /// A storer that kept all but one piece is caught when that piece is asked for.
    #[test]
    fn storer_that_lost_a_piece_answers_for_every_other_piece_only() {
        let body = body(64 * 1024);
        let hash = Hash::of(&body);
        let mut kept = body.clone();
        kept[10 * 1024..11 * 1024].fill(0);
        let caught = |start| {
            let proof = cut(&kept, start).unwrap();
            check(hash, body.len() as u64, start, &proof).is_none()
        };
        assert!(caught(10 * 1024));
        // With its own tree over what it has it is caught everywhere: the root differs.
        assert!((0..64).all(|slice| caught(slice * 1024)));
    }

    proptest! {
        #[test]
        fn changed_or_cut_proof_is_refused(at in 8_usize..1400, bit in 0..8_u32) {
            let body = body(50_000);
            let hash = Hash::of(&body);
            let proof = cut(&body, 1024).unwrap();
            let mut changed = proof.clone();
            let at = at % proof.len();
            changed[at] ^= 1 << bit;
            // The first eight bytes state the chunk's length, which only its last slice proves.
            prop_assert!(at < 8 || check(hash, 50_000, 1024, &changed).is_none());
            prop_assert!(check(hash, 50_000, 1024, &proof[..at]).is_none());
            let longer = [&proof[..], &[0]].concat();
            prop_assert!(check(hash, 50_000, 1024, &longer).is_none());
        }
    }
}
