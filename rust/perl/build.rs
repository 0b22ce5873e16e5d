//! Notes which of perlmod and proxmox-schema are the stand-ins of this project: `links` metadata reach direct
//! dependents only, and the real crates set none.

fn main() {
    for (name, variable) in [
        ("PERLMOD", "DEP_PVE_ESCROW_STANDIN_PERLMOD_STANDIN"),
        (
            "PROXMOX_SCHEMA",
            "DEP_PVE_ESCROW_STANDIN_PROXMOX_SCHEMA_STANDIN",
        ),
    ] {
        println!("cargo::rerun-if-env-changed={variable}");
        let inside = if std::env::var_os(variable).is_some() {
            "stand-in"
        } else {
            "real"
        };
        println!("cargo::rustc-env=INSIDE_{name}={inside}");
    }
}
