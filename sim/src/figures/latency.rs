//! Figure 4: how long an instance takes as members are added. Real processes on this machine: the
//! benchmark of the `pib` binary is run, and what it prints is drawn.

use super::plot::{Figure, Mark, Series};
use std::path::Path;
use std::process::Command;

/// Group sizes of the figure; the paper has 4 to 20.
const SIZES: [u16; 8] = [4, 5, 8, 11, 14, 17, 20, 32];
/// What the paper's text says of its figure 4: members, at most so many ms.
const PAPER: [(f64, f64); 2] = [(4.0, 50.0), (20.0, 100.0)];

/// Runs the benchmark and draws it; `pib` is the built binary.
pub fn figure(pib: &Path) -> Result<(Figure, Vec<String>), String> {
    let sizes = SIZES.map(|n| n.to_string()).join(",");
    let output = Command::new(pib)
        .args(["bench", "rsm", "--nodes", &sizes, "--json"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run {}: {error}", pib.display()))?;
    if !output.status.success() {
        return Err(format!("{} bench rsm ended with {}", pib.display(), output.status));
    }
    from_bench(&String::from_utf8_lossy(&output.stdout))
}

/// Reads the benchmark's JSON lines. One line a group size; a machine without incentives adds
/// lines of its own.
pub fn from_bench(text: &str) -> Result<(Figure, Vec<String>), String> {
    let mut rows: Vec<(String, f64, f64, f64)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let value: serde_json::Value = serde_json::from_str(line)
            .map_err(|error| format!("bench printed no JSON: {error}"))?;
        if value["message_type"] != "bench_result" {
            continue;
        }
        let number = |key: &str| value[key].as_f64();
        let machine = value["engine"].as_str().unwrap_or("pib").to_owned();
        if let (Some(n), Some(p50)) = (number("nodes"), number("instance_p50_ms")) {
            rows.push((machine, n, p50, number("instance_p99_ms").unwrap_or(p50)));
        }
    }
    if rows.is_empty() {
        return Err("the benchmark printed no result".into());
    }
    // Each once, in the order in which they came: the benchmark prints them by size.
    let mut machines: Vec<String> = Vec::new();
    for (machine, ..) in &rows {
        if !machines.contains(machine) {
            machines.push(machine.clone());
        }
    }
    let mut series = vec![Series {
        name: "paper (2005): less than this".into(),
        mark: Mark::Points,
        points: PAPER.to_vec(),
    }];
    let mut lines = Vec::new();
    for machine in machines {
        let own = || rows.iter().filter(|(name, ..)| *name == machine);
        let row = |pick: fn(&(String, f64, f64, f64)) -> f64| {
            own().map(|row| (row.1, pick(row))).collect::<Vec<_>>()
        };
        let line = |name, points| Series { name, mark: Mark::Line, points };
        series.push(line(format!("{machine}, median"), row(|row| row.2)));
        series.push(line(format!("{machine}, 99th percentile"), row(|row| row.3)));
        for (_, n, p50, p99) in own() {
            lines
                .push(format!("figure 4, {machine}, n = {n}: median {p50:.1} ms, p99 {p99:.1} ms"));
        }
    }
    let title = "Figure 4: duration of an instance as members are added (real processes)".into();
    let (x, y) = ("members", "ms");
    Ok((Figure { stem: "figure-4", title, x, y, series }, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bench_lines_become_one_series_a_machine() {
        let line = |machine: &str, n: u16, ms: f64| {
            format!(
                "{{\"message_type\":\"bench_result\",\"engine\":\"{machine}\",\"nodes\":{n},\"instance_p50_ms\":{ms}}}\n"
            )
        };
        let text = format!(
            "{}noise\n{}{}",
            line("pib", 4, 5.0),
            line("baseline", 4, 2.0),
            line("pib", 8, 9.0)
        );
        let (figure, lines) = from_bench(&text).unwrap();
        assert_eq!(figure.series[1].points, [(4.0, 5.0), (8.0, 9.0)]);
        assert_eq!(figure.series[3].points, [(4.0, 2.0)]);
        assert_eq!(figure.series.len(), 5, "the paper, and two lines a machine");
        assert_eq!(lines.len(), 3);
        assert!(from_bench("nothing\n").is_err());
    }
}
