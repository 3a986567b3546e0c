//! Counts what a check of a known tenant allocates, and prints it for the benches, which start it.
//!
//! It is a program of its own because whoever counts does so at each allocation, and the other rows
//! would be about that, too.

#[path = "../known.rs"]
mod known;

use known::Known;

const CHECKS: u32 = 640_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for known in [Known::in_memory().await, Known::following().await, Known::stale().await] {
        let asks: [(_, fn(&Known)); 2] =
            [("cached", Known::ask_cached), ("check", Known::ask_check)];
        for (how, ask) in asks {
            (0..CHECKS / 64).for_each(|_| ask(&known));
            let counted = allocation_counter::measure(|| (0..CHECKS).for_each(|_| ask(&known)));
            #[expect(clippy::print_stdout, reason = "whoever started it reads it")]
            {
                println!("{how}, {}\t{CHECKS}\t{}", known.name, counted.count_total);
            }
        }
    }
}
