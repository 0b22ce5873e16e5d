//! `master-key`

use std::fs;
use std::path::Path;

use pve_escrow::file::{self, Staged};
use pve_escrow::master::{self, PrivateFile, PrivateKey, PublicKey, Recovered, Wrapped};
use pve_escrow::pbs::{Datastore, SnapshotId};
use pve_escrow::{Error, Expected};

use crate::args::{Check, MakeMasterKey, MasterKey, Open};
use crate::failure::{Failure, Result, unreadable};
use crate::{input, output};

/// The names that the stock client uses.
const PRIVATE: &str = "master-private.pem";
const PUBLIC: &str = "master-public.pem";

pub fn run(command: &MasterKey) -> Result<()> {
    match command {
        MasterKey::Create(args) => create(args),
        MasterKey::Check(args) => check(args),
        MasterKey::Open(args) => open(args),
    }
}

fn create(args: &MakeMasterKey) -> Result<()> {
    let (private, public) = (args.out.join(PRIVATE), args.out.join(PUBLIC));
    file::must_not_exist(&private)?;
    file::must_not_exist(&public)?;
    warn_on_a_node();
    let passphrase = input::new_passphrase(args.passphrase_in.as_deref())?;
    output::note("Making the key. This may take a minute.");
    let key = master::create(&passphrase)?;

    let staged = Staged::new(&public, key.public.to_pem().as_bytes())?;
    // never a public half in the world whose private half is not there
    file::write_new(&private, key.private.as_bytes())?;
    staged.publish().inspect_err(|_| {
        let _ = fs::remove_file(&private);
    })?;
    output::note(format_args!(
        "{} is the public half, for the storages. {} belongs into a safe, with its passphrase elsewhere.",
        public.display(),
        private.display()
    ));
    output::result(key.public.fingerprint())
}

fn check(args: &Check) -> Result<()> {
    let key = PublicKey::read(&args.public)?;
    output::note(format_args!(
        "{}: RSA with {} bits. The SHA-256 of its DER form:",
        args.public.display(),
        key.bits()
    ));
    output::result(key.fingerprint())
}

fn open(args: &Open) -> Result<()> {
    file::must_not_exist(&args.out)?;
    let private = PrivateFile::read(&args.private)?;
    let expect = args.expect.as_ref();
    let recovered = match (&args.datastore, &args.snapshot) {
        (Some(datastore), Some(snapshot)) => {
            let id = SnapshotId {
                namespace: args.ns.clone(),
                snapshot: snapshot.clone(),
            };
            let datastore = Datastore::open(datastore).map_err(unreadable)?;
            let wrapped = Wrapped::of_snapshot(&datastore, &id).map_err(unreadable)?;
            wrapped.open(&private_key(&private, args)?, expect)?
        }
        _ => first_of(&args.file, &private_key(&private, args)?, expect)?,
    };
    for doubt in &recovered.doubts {
        output::note(format_args!(
            "warning: the manifest is not as it was made: {doubt}"
        ));
    }
    file::write_new(&args.out, &recovered.file.to_json())?;
    output::note(format_args!(
        "The key is in {}. Keep it secret.",
        args.out.display()
    ));
    output::result(recovered.fingerprint)
}

fn private_key(file: &PrivateFile, args: &Open) -> Result<PrivateKey> {
    warn_on_a_node();
    let passphrase = match file.is_protected() {
        true => Some(input::passphrase_from(
            args.passphrase_in.as_deref(),
            "Passphrase of the master key: ",
        )?),
        false => None,
    };
    Ok(file.open(passphrase.as_ref())?)
}

/// Copies may be damaged, and are named. But where files hold different keys, nobody can say which one is meant.
fn first_of(
    files: &[impl AsRef<Path>],
    key: &PrivateKey,
    expect: Option<&Expected>,
) -> Result<Recovered> {
    let mut found: Option<Recovered> = None;
    let mut failed: Option<Error> = None;
    for path in files {
        let opened = Wrapped::read(path.as_ref()).and_then(|wrapped| wrapped.open(key, expect));
        match (opened, &found) {
            (Ok(opened), None) => found = Some(opened),
            (Ok(opened), Some(found)) if opened.fingerprint != found.fingerprint => {
                return Err(Failure::AnotherKey(format!(
                    "the files hold different keys, {} and {}: name those of one",
                    found.fingerprint.short(),
                    opened.fingerprint.short()
                )));
            }
            (Ok(_), Some(_)) => {}
            (Err(err), _) => note(failed.replace(err)),
        }
    }
    match (found, failed) {
        (Some(found), failed) => {
            note(failed);
            Ok(found)
        }
        (None, Some(err)) => Err(err.into()),
        (None, None) => Err(Failure::Usage("no file is named".to_owned())),
    }
}

fn note(failed: Option<Error>) {
    if let Some(err) = failed {
        output::note(format_args!("skipped: {err}"));
    }
}

/// Whoever has root on a node could take the private half, and with it the keys of all backups ever made.
fn warn_on_a_node() {
    if ["/etc/pve", "/usr/bin/pveversion"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        output::note(
            "warning: this is a node of Proxmox VE. The private half of a master key should never come near one: use another machine.",
        );
    }
}
