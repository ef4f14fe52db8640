//! The group policy file and its encoding.

use crate::group::{DAY_MS, SizesError};
use crate::{ConfigError, GroupPolicy};
use types::{Decode, Encode, Hash, Mode, QuorumError};

fn refusal(text: &str) -> String {
    GroupPolicy::from_toml(text).expect_err(text).to_string()
}

#[test]
fn empty_file_gives_the_defaults_of_section_1() {
    let policy = GroupPolicy::from_toml("").unwrap();
    assert_eq!(policy, GroupPolicy::default());
    assert_eq!(policy.timing().t0_min_ms, 10_000);
    assert_eq!(policy.timing().max_response_ms, 7 * DAY_MS);
    assert_eq!(policy.storage().lease_ms, 30 * DAY_MS);
    assert_eq!(policy.mode(), Mode::QuasiSync);
}

#[test]
fn full_file_is_read_and_printed_back() {
    let text = "[timing]\nt0_min_ms = 500\nt0_max_ms = 4000\nidle_first_ms = 50\nidle_max_ms = 100\n\
                gamma_ms = 300\nmax_response_ms = 60000\nresend_max_ms = 2000\n\
                [group]\nbyzantine_max = 2\nmode = \"async\"\nproposal_len_max = 32768\npipeline = 4\n\
                [storage]\nchunks = 7\nquota_bytes = \"2 GiB\"\nlease_days = 3\nskew_ms = 1000\n";
    let policy = GroupPolicy::from_toml(text).unwrap();
    assert_eq!(policy.storage().quota_bytes, 2 << 30);
    assert_eq!(policy.storage().lease_ms, 3 * DAY_MS);
    assert_eq!(policy.pipeline(), 4);
    assert_eq!(GroupPolicy::from_toml(&policy.to_toml()), Ok(policy));
}

#[test]
fn unknown_key_is_refused_with_key_and_line() {
    let message = refusal("[timing]\nt0_min_ms = 5\nt0_minn_ms = 5\n");
    assert!(message.contains("line 3") && message.contains("t0_minn_ms"), "{message}");
}

#[test]
fn wrong_type_is_refused_with_line() {
    let message = refusal("[group]\n\nbyzantine_max = \"two\"\n");
    assert!(message.contains("line 3"), "{message}");
}

#[test]
fn number_outside_its_range_is_refused_with_key_line_and_range() {
    let message = refusal("[group]\nproposal_len_max = 1\n");
    for part in ["line 2", "group.proposal_len_max", "16384"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(refusal("[storage]\nquota_bytes = \"1 KiB\"\n").contains("64 MiB"));
    assert!(refusal("[storage]\nquota_bytes = \"1 XB\"\n").contains("line 2"));
}

#[test]
fn keys_at_odds_with_each_other_are_refused_with_the_line_of_one() {
    let message = refusal("[timing]\nt0_min_ms = 9000\nt0_max_ms = 8000\n");
    assert!(message.contains("line 3") && message.contains("t0_min_ms = 9000"), "{message}");
    assert!(refusal("[storage]\nlease_days = 1\nlease_ms = 5000\n").contains("keep one"));
    assert!(refusal("[storage]\nlease_ms = 5000\nskew_ms = 5000\n").contains("shorter"));
    let message = refusal("[group]\nbyzantine_max = 2\n[storage]\nchunks = 2\n");
    assert!(message.contains("line 4"), "{message}");
    assert!(refusal("[group]\nmode = \"sync\"\n").contains("quasi-sync"));
}

#[test]
fn refusals_say_what_to_do_next() {
    let error = GroupPolicy::from_toml("[group]\nmode = \"sync\"\n").unwrap_err();
    assert!(matches!(&error, ConfigError::Value { key: "group.mode", .. }));
    assert!(error.hint().contains("group.mode"));
}

#[test]
fn sizes_default_to_the_largest_f_and_all_others_as_storers() {
    let sizes = GroupPolicy::default().sizes(10).unwrap();
    assert_eq!((sizes.n(), sizes.f(), sizes.chunks, sizes.needed()), (10, 2, 9, 7));
}

#[test]
fn sizes_below_3f_plus_2_are_refused() {
    let policy = GroupPolicy::from_toml("[group]\nbyzantine_max = 2\n").unwrap();
    let error = policy.sizes(7).unwrap_err();
    assert_eq!(error, SizesError::Quorum(QuorumError::TooFew { n: 7, f: 2 }));
}

#[test]
fn chunks_not_between_f_and_n_are_refused() {
    let policy = GroupPolicy::from_toml("[storage]\nchunks = 9\n").unwrap();
    assert_eq!(policy.sizes(8), Err(SizesError::Chunks { chunks: 9, n: 8, f: 2 }));
    let policy = GroupPolicy::from_toml("[storage]\nchunks = 2\n").unwrap();
    assert!(matches!(policy.sizes(8), Err(SizesError::Chunks { .. })));
}

#[test]
fn pipeline_above_half_of_the_members_is_refused() {
    let policy = GroupPolicy::from_toml("[group]\npipeline = 4\n").unwrap();
    assert_eq!(policy.sizes(7), Err(SizesError::Pipeline { pipeline: 4, n: 7 }));
    assert!(policy.sizes(8).is_ok());
    assert!(refusal("[group]\npipeline = 0\n").contains("line 2"));
    assert!(refusal("[group]\npipeline = 33\n").contains("32"));
}

/// Guarantee 2: the bytes are part of every group id.
#[test]
fn encoding_of_the_default_policy_is_pinned() {
    let bytes = GroupPolicy::default().to_bytes();
    assert_eq!((bytes.len(), Hash::of(&bytes).to_hex().as_str()), (146, PINNED_POLICY));
}

const PINNED_POLICY: &str = "885a1091674e203dd276764209260b1ee2b1c6396c495f71ff15f087beee2e76";

/// Guarantee 1: bytes from outside are held to the same relations as a file.
#[test]
fn decoded_policy_out_of_range_is_refused() {
    let mut bytes = GroupPolicy::default().to_bytes();
    assert_eq!(GroupPolicy::from_bytes(&bytes), Ok(GroupPolicy::default()));
    bytes[1..9].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(GroupPolicy::from_bytes(&bytes).is_err());
}

proptest::proptest! {
    #[test]
    fn policy_file_of_any_text_never_panics(text in "[a-z0-9_=\\[\\]\"\\n .-]{0,80}") {
        let _ = GroupPolicy::from_toml(&text);
    }
}

#[test]
fn work_rules_are_read_printed_and_encoded_and_have_to_fit_each_other() {
    let text = "[timing]\ngamma_ms = 300\nresend_max_ms = 300\nmax_response_ms = 3000\n\
                [work]\nenabled = true\nmargin_ms = 1000\nrotation_ms = 2000\nopen_ms = 500\n\
                request_life_ms = 60000\nquota_period_ms = 70000\nquota_bytes = \"1 GiB\"\nmandatory_bytes = 512\n";
    let policy = GroupPolicy::from_toml(text).unwrap();
    assert!(policy.work().enabled);
    assert_eq!((policy.work().quota_bytes, policy.work().mandatory_bytes), (Some(1 << 30), 512));
    assert_eq!(GroupPolicy::from_toml(&policy.to_toml()), Ok(policy.clone()));
    assert_eq!(GroupPolicy::from_bytes(&policy.to_bytes()), Ok(policy));
    // 2 * 2000 + 2 * 3000 + 1000 + 500 is what a vow takes (6.3).
    assert!(GroupPolicy::from_toml(&text.replace("60000", "11500")).is_ok());
    let short = refusal(&text.replace("60000", "11499"));
    assert!(short.contains("work.request_life_ms") && short.contains("11500"), "{short}");
    // A layer's predicate reads the prefix that one instance at a time gives it.
    let wide = refusal(&format!("{text}[group]\npipeline = 2\n"));
    assert!(wide.contains("group.pipeline"), "{wide}");
    assert!(refusal("[work]\nmargin_ms = 0\n").contains("work.margin_ms"));
    assert!(!GroupPolicy::default().work().enabled);
}
