//! The Perl package `PVE::RS::Escrow`: one thin function an operation of [`pve_escrow::ops`].
//!
//! Every function takes one hash and returns one; `perl/PVE/RS/Escrow.pm` loads the library, brings the types of
//! Perl's scalars in line with the schema and documents the functions.

#![allow(
    unsafe_code,
    reason = "perlmod's macro writes it around each function; there is none in here"
)]

#[perlmod::package(name = "PVE::RS::Escrow", lib = "pve_escrow_rs")]
pub mod export {
    //! See [`pve_escrow::ops`] for what each function does and how it fails.

    use anyhow::Error;
    use pve_escrow::client::kits::{Found as FoundKits, Published};
    use pve_escrow::client::prove::RemoteReport;
    use pve_escrow::client::snapshots::Snapshots;
    use pve_escrow::ops::code::{self, Find, Found, ReadCode, Typed};
    use pve_escrow::ops::datastore::{self, Place, Prove};
    use pve_escrow::ops::document::{
        self, Authenticate, Print, ReadSheet, Sheet, SheetRead, Sign, Signed,
    };
    use pve_escrow::ops::master::{self, Checked, Public};
    use pve_escrow::ops::remote;
    use pve_escrow::ops::{
        self, Created, Inspected, Install, Installed, Named, OfKeyFile, Unwrap, Verified, Verify,
    };
    use pve_escrow::pbs::coverage::Coverage;
    use pve_escrow::pbs::prove::Report;
    use pve_escrow::schema;
    use serde_json::Value;

    /// The name of the key in a key file.
    ///
    /// # Errors
    /// As [`ops::fingerprint`].
    #[export]
    pub fn fingerprint(input: OfKeyFile) -> Result<Named, Error> {
        Ok(ops::fingerprint(&input)?)
    }

    /// What can be said of a key file without its passphrase.
    ///
    /// # Errors
    /// As [`ops::inspect`].
    #[export]
    pub fn inspect(input: OfKeyFile) -> Result<Inspected, Error> {
        Ok(ops::inspect(&input)?)
    }

    /// Seals a key under a new recovery code.
    ///
    /// # Errors
    /// As [`ops::create`].
    #[export]
    pub fn create(input: OfKeyFile) -> Result<Created, Error> {
        Ok(ops::create(&input)?)
    }

    /// Opens a blob, and changes nothing.
    ///
    /// # Errors
    /// As [`ops::verify`].
    #[export]
    pub fn verify(input: Verify) -> Result<Verified, Error> {
        Ok(ops::verify(&input)?)
    }

    /// Writes the key of a blob to a new key file.
    ///
    /// # Errors
    /// As [`ops::unwrap`].
    #[export]
    pub fn unwrap(input: Unwrap) -> Result<Verified, Error> {
        Ok(ops::unwrap(&input)?)
    }

    /// Makes the key of a blob the live key.
    ///
    /// # Errors
    /// As [`ops::install`].
    #[export]
    pub fn install(input: Install) -> Result<Installed, Error> {
        Ok(ops::install(&input)?)
    }

    /// Reads a recovery code that may not be complete yet.
    ///
    /// # Errors
    /// As [`code::read_code`].
    #[export]
    pub fn read_code(input: Typed) -> Result<ReadCode, Error> {
        Ok(code::read_code(&input)?)
    }

    /// Finds the blob that a code opens.
    ///
    /// # Errors
    /// As [`code::find`].
    #[export]
    pub fn find(input: Find) -> Result<Found, Error> {
        Ok(code::find(&input)?)
    }

    /// Signs a kit or a record.
    ///
    /// # Errors
    /// As [`document::sign`].
    #[export]
    pub fn sign(input: Sign) -> Result<Signed, Error> {
        Ok(document::sign(&input)?)
    }

    /// Is a kit or a record as a holder of its key made it?
    ///
    /// # Errors
    /// As [`document::authenticate`].
    #[export]
    pub fn authenticate(input: Authenticate) -> Result<Verified, Error> {
        Ok(document::authenticate(&input)?)
    }

    /// Prints a kit or a blob as a sheet of paper.
    ///
    /// # Errors
    /// As [`document::paper`].
    #[export]
    pub fn paper(input: Print) -> Result<Sheet, Error> {
        Ok(document::paper(&input)?)
    }

    /// Reads a sheet of paper into a new file.
    ///
    /// # Errors
    /// As [`document::read_sheet`].
    #[export]
    pub fn read_sheet(input: ReadSheet) -> Result<SheetRead, Error> {
        Ok(document::read_sheet(&input)?)
    }

    /// Checks the public half of a master key.
    ///
    /// # Errors
    /// As [`master::check_master_key`].
    #[export]
    pub fn check_master_key(input: Public) -> Result<Checked, Error> {
        Ok(master::check_master_key(&input)?)
    }

    /// Proves that a key opens what is in a datastore.
    ///
    /// # Errors
    /// As [`datastore::prove`].
    #[export]
    pub fn prove(input: Prove) -> Result<Report, Error> {
        Ok(datastore::prove(&input)?)
    }

    /// Counts the snapshots of a datastore by key.
    ///
    /// # Errors
    /// As [`datastore::coverage`].
    #[export]
    pub fn coverage(input: Place) -> Result<Coverage, Error> {
        Ok(datastore::coverage(&input)?)
    }

    /// Proves that a key opens what is on a server. A line on standard output, which is a worker's log, for each snapshot.
    ///
    /// # Errors
    /// As [`remote::prove`].
    #[export]
    pub fn remote_prove(input: remote::Prove) -> Result<RemoteReport, Error> {
        Ok(remote::prove(&input, &|snapshot| println!("{snapshot}"))?)
    }

    /// Counts the snapshots of a server by key.
    ///
    /// # Errors
    /// As [`remote::coverage`].
    #[export]
    pub fn remote_coverage(input: remote::Place) -> Result<Coverage, Error> {
        Ok(remote::coverage(&input)?)
    }

    /// Lists the snapshots of a server.
    ///
    /// # Errors
    /// As [`remote::snapshots`].
    #[export]
    pub fn remote_snapshots(input: remote::Place) -> Result<Snapshots, Error> {
        Ok(remote::snapshots(&input)?)
    }

    /// Publishes kits on a server.
    ///
    /// # Errors
    /// As [`remote::publish`].
    #[export]
    pub fn remote_publish(input: remote::Publish) -> Result<Published, Error> {
        Ok(remote::publish(&input)?)
    }

    /// Reads the kits that were published on a server.
    ///
    /// # Errors
    /// As [`remote::kits`].
    #[export]
    pub fn remote_kits(input: remote::Kits) -> Result<FoundKits, Error> {
        Ok(remote::kits(&input)?)
    }

    /// The schema of an operation, as `register_method` takes it.
    ///
    /// # Errors
    /// If there is no operation of that name.
    #[export]
    pub fn schema(name: &str) -> Result<Value, Error> {
        let operation =
            schema::operation(name).ok_or_else(|| anyhow::format_err!("no operation '{name}'"))?;
        Ok(operation.to_json())
    }

    /// The version of the library, and whether its perlmod and proxmox-schema are the real ones.
    #[export]
    pub fn version() -> Value {
        serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "perlmod": env!("INSIDE_PERLMOD"),
            "proxmox-schema": env!("INSIDE_PROXMOX_SCHEMA"),
        })
    }
}
