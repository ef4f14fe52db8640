//! One encoding a value, pinned; decoders that neither panic nor accept a second form.

use super::world::*;
use crate::*;
use proptest::prelude::*;
use types::*;

fn canonical<T: Decode + Encode>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

/// What one busy run says, commands and messages.
fn corpus() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut world = World::new(3, 5, 1, params());
    world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
    let vow = member_work(0, 2, b"v");
    world.local((0, 0), Local::Vow(vow, Stamp(2_500_000), true));
    world.run(2_600_000);
    let messages = world.sent.iter().map(|(_, _, message)| message.to_bytes()).collect();
    let log = &world.machines[0].log;
    let commands = log.iter().flat_map(|decided| decided.commands.clone()).collect();
    (commands, messages)
}

#[test]
fn changed_bytes_are_refused_or_another_value_in_its_one_form() {
    let (commands, messages) = corpus();
    assert!(commands.len() >= 3 && messages.len() > 10);
    for (list, command) in [(&commands, true), (&messages, false)] {
        for bytes in list.iter().take(20) {
            for at in 0..bytes.len().min(400) {
                let mut changed = bytes.clone();
                changed[at] ^= 0x41;
                let again = match command {
                    true => Command::from_bytes(&changed).map(|value| value.to_bytes()),
                    false => Message::from_bytes(&changed).map(|value| value.to_bytes()),
                };
                assert!(again.is_err() || again == Ok(changed));
            }
        }
    }
}

/// A change of form must change these in the same commit.
#[test]
fn encodings_are_pinned() {
    let work = member_work(0, 1, b"work");
    let aid = Aid { inst: Instance(3), index: 1 };
    let vow = Vow::over(&work, group(0), Slot(1), Stamp(9));
    let all = [
        work.root(group(0)),
        Hash::of(&Command::Assign(work.clone()).to_bytes()),
        Hash::of(&Command::Vow(vow).to_bytes()),
        Hash::of(&Message::Got(Got::Word, aid).to_bytes()),
        aid.lot(group(0)),
        Hash::of(&pad(group(0), aid, Kind::NoEvidence, (Slot(1), Slot(2)), 100).0),
    ];
    assert_eq!(all.map(|one| one.to_hex()[..16].to_owned()), PINNED);
}

const PINNED: [&str; 6] = [
    "a5a04d454bb4cc45",
    "56c9ef8d532aa9e2",
    "9b270e01395b4b4b",
    "d618cdc69bb0c5bc",
    "a9ec1b28a63832db",
    "077b3a6f9bfcb8b4",
];

proptest! {
    #[test]
    fn any_bytes_have_one_form(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        canonical::<Command>(&bytes)?;
        canonical::<Message>(&bytes)?;
        canonical::<Work>(&bytes)?;
        canonical::<State>(&bytes)?;
        canonical::<Key>(&bytes)?;
        let _ = pom::Pom::from_bytes(&bytes);
    }

    /// 6.1, W6: f + 1 or 2f + 1 distinct witnesses, neither target nor requester, the same at everybody.
    #[test]
    fn designated_witnesses_are_distinct_and_disinterested(
        n in 5usize..30,
        inst in 0u64..1000,
        count in 0usize..30,
    ) {
        let roster = roster(0, n, (n - 2) / 3);
        let aid = Aid { inst: Instance(inst), index: 2 };
        let set = judge::designated(&roster, aid, Slot(1), Slot(0), count);
        prop_assert_eq!(set.len(), count.min(n - 2));
        prop_assert!(!set.contains(Slot(0)) && !set.contains(Slot(1)));
    }

    /// 6.3: the parts of a default message add up, and are one stream each that nobody else's vow shares.
    #[test]
    fn parts_of_a_default_message_add_up(pad_len in 1usize..100_000) {
        let parts = sizes::default_parts(pad_len);
        let sum: usize = (0..parts).map(|part| sizes::part_len(pad_len, part)).sum();
        prop_assert_eq!(sum, pad_len);
    }
}
