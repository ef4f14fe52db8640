//! The deviation experiment: does any deviation of Table 1 and of specification section 9 pay?
//!
//! Source: specification section 10; paper, table 1, lemmas 9 to 31.
//! Purpose: a rational member that deviates must not be better off than one that follows, whatever
//! the `f` Byzantine members do. The paper proves it by hand; here it is measured.
//!
//! Assumes: the code under test is `bart-rsm`, unchanged; a deviator is the same core behind a filter
//! at its queue boundary, or with a switch of the feature `broken-rules` where the deviation is inside.
//! Guarantees: (1) every figure follows from the seeds in the report; (2) both runs of a pair meet the
//! same network; (3) the negative controls show that the experiment can find what it looks for.

pub mod alter;
pub mod arena;
pub mod assertions;
pub mod command;
pub mod controls;
pub mod evidence;
pub mod experiment;
pub mod explain;
pub mod frame;
pub mod hostile;
pub mod learn;
pub mod meter;
pub mod play;
pub mod report;
pub mod rows;
pub mod sizes;
pub mod statistics;
pub mod trial;
pub mod weather;
