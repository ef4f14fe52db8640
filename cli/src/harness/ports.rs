//! Free ports below the range from which the kernel takes the near ends of connections: a port
//! from that range could be taken between choosing it and listening on it.

use crate::error::{CliError, Code};
use std::net::{Ipv4Addr, TcpListener};

const FIRST: u16 = 10_240;
const LAST: u16 = 32_000;

/// `count` ports on which nobody listens on loopback now.
pub fn free_ports(count: usize) -> Result<Vec<u16>, CliError> {
    let mut start = [0; 2];
    getrandom::fill(&mut start)
        .map_err(|error| CliError::new(Code::Failed, format!("no random numbers: {error}")))?;
    let span = LAST - FIRST;
    let start = u16::from_le_bytes(start) % span;
    // Held until all are found, so that no port is found twice.
    let mut held = Vec::new();
    for step in 0..span {
        if held.len() == count {
            break;
        }
        let port = FIRST + (start + step) % span;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        return Err(CliError::new(Code::Failed, format!("no {count} free ports on loopback")));
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}
