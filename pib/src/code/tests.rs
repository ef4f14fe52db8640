use super::*;
use proptest::prelude::*;

fn object(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

fn parts<'a>(code: &Code, buffer: &'a [u8], gap: usize) -> Vec<&'a [u8]> {
    buffer.chunks(buffer.len() / code.x()).map(|slice| &slice[gap..]).collect()
}

/// Which parts survive: a permutation's first `x - f`.
fn survivors(x: usize, keep: usize) -> impl Strategy<Value = Vec<usize>> {
    Just((0..x).collect::<Vec<_>>()).prop_shuffle().prop_map(move |mut all| {
        all.truncate(keep);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Guarantee 1 and, with one part less, guarantee 2.
    #[test]
    fn any_needed_parts_give_the_object_and_one_less_fails(
        (x, f, keep) in (1usize..20).prop_flat_map(|x| (Just(x), 0..x))
            .prop_flat_map(|(x, f)| (Just(x), Just(f), survivors(x, x - f))),
        len in prop_oneof![0usize..100, 60_000usize..300_000],
        gap in 0usize..100,
    ) {
        let code = Code::new(x, f).unwrap();
        let object = object(len);
        let buffer = code.encode(&object, gap).unwrap();
        let all = parts(&code, &buffer, gap);
        let mut present = vec![None; x];
        for index in &keep {
            present[*index] = Some(all[*index]);
        }
        prop_assert_eq!(&code.decode(len as u64, &present).unwrap(), &object);
        present[keep[0]] = None;
        let expected = Error::TooFewChunks { have: x - f - 1, needed: x - f };
        prop_assert_eq!(code.decode(len as u64, &present), Err(expected));
    }
}

#[test]
fn data_parts_are_the_object_itself() {
    let code = Code::new(5, 2).unwrap();
    let object = object(1000);
    let buffer = code.encode(&object, 3).unwrap();
    let all = parts(&code, &buffer, 3);
    assert_eq!(all[0].len(), 334);
    assert_eq!(&all[..3].concat()[..1000], object);
}

#[test]
fn empty_object_has_parts_of_one_byte() {
    let code = Code::new(4, 1).unwrap();
    assert_eq!(code.encode(&[], 0).unwrap().len(), 4);
    let zero: &[u8] = &[0];
    assert_eq!(code.decode(0, &[None, Some(zero), Some(zero), Some(zero)]), Ok(Vec::new()));
}

#[test]
fn impossible_codes_are_refused() {
    for (x, f) in [(0, 0), (3, 3), (3, 4), (CHUNKS_MAX + 1, 1)] {
        assert!(Code::new(x, f).is_err(), "{x} {f}");
    }
    assert!(Code::new(CHUNKS_MAX, 20).is_ok());
}

#[test]
fn parts_of_wrong_number_or_length_are_refused() {
    let code = Code::new(3, 1).unwrap();
    let good: &[u8] = &[1, 2];
    let long: &[u8] = &[1, 2, 3];
    assert!(matches!(code.decode(4, &[Some(good); 2]), Err(Error::WrongShape { .. })));
    let mixed = [Some(good), Some(long), None];
    assert!(matches!(code.decode(4, &mixed), Err(Error::WrongShape { .. })));
    assert!(matches!(code.decode(u64::MAX, &mixed), Err(Error::TooLarge { .. })));
}

/// Run with `--ignored --nocapture`; prints MiB of object per second, one thread.
#[test]
#[ignore = "a measurement, not a check"]
fn throughput_of_encode_and_decode() {
    #[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
    fn timed(what: &str, bytes: usize, mut run: impl FnMut()) {
        run();
        let (start, rounds) = (std::time::Instant::now(), 20);
        (0..rounds).for_each(|_| run());
        let seconds = start.elapsed().as_secs_f64();
        println!("{what}: {:.0} MiB/s", (bytes * rounds) as f64 / seconds / 1048576.0);
    }
    let object = object(16 << 20);
    for (x, f) in [(4, 1), (9, 2), (21, 7)] {
        let code = Code::new(x, f).unwrap();
        let buffer = code.encode(&object, 80).unwrap();
        let all = parts(&code, &buffer, 80);
        let len = object.len();
        timed(&format!("encode {}+{f}", x - f), len, || {
            code.encode(&object, 80).unwrap();
        });
        for lost in [0, f] {
            let present: Vec<_> =
                (0..x).map(|index| (index >= lost).then_some(all[index])).collect();
            timed(&format!("decode {}+{f}, {lost} lost", x - f), len, || {
                code.decode(len as u64, &present).unwrap();
            });
        }
    }
}
