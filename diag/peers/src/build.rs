//! Builds the peers, each by itself.
//!
//! One build of all of them would unify features: console-subscriber turns on tokio's `tracing`,
//! and the baseline would pay for it. Builds one after the other do not, even in one target folder,
//! and what two peers have alike is compiled once. The flags go through the environment, because cargo reads no
//! config file that lies beside a `--manifest-path`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress;
use crate::variant::Variant;

/// The programs of these variants, in their order, with these features; each build is made once.
pub(crate) fn programs<'a>(
    variants: impl Iterator<Item = &'a Variant>,
    features: &[&str],
) -> Result<Vec<PathBuf>> {
    let mut built = Vec::new();
    variants
        .map(|variant| {
            let build = (variant.package, variant.flags);
            if !built.contains(&build) {
                make(variant, features)?;
                built.push(build);
            }
            Ok(folder(variant)?.join("release").join(variant.package))
        })
        .collect()
}

fn make(variant: &Variant, features: &[&str]) -> Result<()> {
    let Variant { package, flags, .. } = variant;
    progress::show(&format!("building {package} {flags}"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", package, "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .args(features.iter().flat_map(|feature| ["--features", feature]))
        .arg("--target-dir")
        .arg(folder(variant)?)
        .env("RUSTFLAGS", flags)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("cannot start cargo; is it on the PATH?")?;
    if !status.success() {
        bail!("{package} does not build with RUSTFLAGS=\"{flags}\"; --only leaves a peer out");
    }
    Ok(())
}

/// A target folder for each set of flags: the driver's own without any, else one inside it.
fn folder(variant: &Variant) -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the folder of this program")?;
    let target = program.ancestors().nth(2).context("this program does not lie in a target folder")?;
    let flags: Vec<&str> =
        variant.flags.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    Ok(if flags.is_empty() { target.to_owned() } else { target.join(flags.join("-")) })
}
