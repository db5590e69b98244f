//! The parts that need call stacks, which are taken on Linux on x86-64: each is built by one `cfg`, which is its
//! feature where it can work. Elsewhere the files named `unsupported.rs` stand in.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let is_supported = target("OS") == "linux" && target("ARCH") == "x86_64";
    for (feature, cfg) in
        [("STACKS", "takes_stacks"), ("HEAP", "samples_heap"), ("CPU_PROFILE", "profiles_cpu")]
    {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
        if is_supported && env::var_os(format!("CARGO_FEATURE_{feature}")).is_some() {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
