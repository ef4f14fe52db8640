mod broadcast;
mod catchup;
mod checkpoint;
mod net;
mod proofs;
mod shared;
mod state;
mod wallet;
