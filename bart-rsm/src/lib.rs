//! A replicated state machine that Byzantine, altruistic and rational members run together
