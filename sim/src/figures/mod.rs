//! The paper's figures 4 to 6, measured again and drawn with the paper's numbers in the same
//! picture (section 8.1 of the report).
//!
//! Figure 4 is measured on real processes, figures 5 and 6 in virtual time.

pub mod absence;
pub mod latency;
pub mod plot;
pub mod quiet;
pub mod rotation;

use std::path::{Path, PathBuf};

/// Draws the wanted figures into `folder`; what they show, in lines, and which files were written.
pub fn draw(
    folder: &Path,
    wanted: &[u8],
    pib: &Path,
) -> Result<(Vec<String>, Vec<PathBuf>), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let (mut lines, mut paths) = (Vec::new(), Vec::new());
    for number in wanted {
        let (figure, about) = match number {
            4 => latency::figure(pib)?,
            5 => absence::figure()?,
            6 => rotation::figure()?,
            other => return Err(format!("figure {other} is none of 4, 5 and 6")),
        };
        paths.extend(figure.write(folder)?);
        lines.extend(about);
    }
    Ok((lines, paths))
}
