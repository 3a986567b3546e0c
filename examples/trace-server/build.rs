//! Tells cargo that a new migration is a reason to build again.

fn main() {
    // `sqlx::migrate!` reads the folder while compiling, and cargo does not see files that a
    // macro reads.
    println!("cargo:rerun-if-changed=migrations");
}
