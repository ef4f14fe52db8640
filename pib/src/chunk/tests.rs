use super::*;
use crate::testing::{pack, secrets};
use std::collections::BTreeSet;

fn maker(x: usize, f: usize) -> Maker {
    Maker::new(Code::new(x, f).unwrap(), secrets(0))
}

#[test]
fn object_comes_back_from_the_last_chunks_alone() {
    for len in [0usize, 1, 2, 3, 1000, 70_000, 300_001] {
        let maker = maker(5, 2);
        let object: Vec<u8> = (0..len).map(|at| (at * 7 / 3) as u8).collect();
        let chunks = maker.chunks(pack(1), Stamp(5), &object).unwrap();
        let bodies: Vec<_> = chunks
            .iter()
            .enumerate()
            .map(|(index, chunk)| (index >= 2).then(|| chunk.body.clone()))
            .collect();
        assert_eq!(maker.object(len as u64, &bodies).unwrap(), object, "{len}");
        let size = maker.body_len(len as u64).unwrap();
        assert!(chunks.iter().all(|chunk| chunk.body.len() as u64 == size));
        assert!(chunks.iter().all(|chunk| chunk.hash == Hash::of(&chunk.body)));
    }
}

#[test]
fn chunk_tells_its_owner_alone_what_it_is() {
    let maker = maker(4, 1);
    let chunks = maker.chunks(pack(1), Stamp(77), b"some object").unwrap();
    for (index, chunk) in chunks.iter().enumerate() {
        let id = ChunkId { object: pack(1), index: index as u8 };
        let name = maker.name(id, Stamp(77));
        let label = maker.label(&name, &chunk.body).unwrap();
        let expected = Label { chunk: id, len: Size(11), stamp: Stamp(77), x: 4, f: 1 };
        assert_eq!(label, expected);
        let stranger = Maker::new(maker.code().clone(), secrets(1));
        assert_eq!(stranger.label(&name, &chunk.body), Err(Error::BadLabel));
    }
}

#[test]
fn names_differ_by_kind_id_version_and_index() {
    let maker = maker(4, 1);
    let mut names = BTreeSet::new();
    for kind in ObjectKind::ALL {
        for (id, stamp, index) in [(1u8, 5, 0), (2, 5, 0), (1, 6, 0), (1, 5, 1)] {
            let object = ObjectKey { kind, id: Hash::of(&[id]) };
            names.insert(maker.name(ChunkId { object, index }, Stamp(stamp)));
        }
    }
    assert_eq!(names.len(), 5 * 4);
}

#[test]
fn same_object_and_version_give_the_same_chunks() {
    let object = vec![3; 5000];
    let once = maker(5, 2).chunks(pack(1), Stamp(5), &object).unwrap();
    assert_eq!(maker(5, 2).chunks(pack(1), Stamp(5), &object).unwrap(), once);
    let other = maker(5, 2).chunks(pack(1), Stamp(6), &object).unwrap();
    assert!(other.iter().zip(&once).all(|(one, two)| one.hash != two.hash));
}

#[test]
fn body_shorter_than_a_chunk_is_refused() {
    let maker = maker(2, 1);
    let bodies = [Some(Bytes::from_static(b"short")), None];
    assert!(matches!(maker.object(10, &bodies), Err(Error::WrongShape { .. })));
}

#[test]
fn object_above_the_limit_is_refused() {
    let len = types::limits::OBJECT_LEN_MAX as u64 + 1;
    assert!(matches!(maker(2, 1).body_len(len), Err(Error::TooLarge { .. })));
}
