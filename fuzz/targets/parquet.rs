#![no_main]

use std::panic::{set_hook, take_hook};
use std::sync::Once;

use tikv_jemallocator::Jemalloc;

/// As in the daemon: room for what a damaged file claims is only set aside, and
/// polars finds out that there is no more to read.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// libFuzzer stops at every panic; those of polars are caught by the house.
static ONLY_OURS: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ONLY_OURS.call_once(|| {
        let stop = take_hook();
        set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|place| place.file().contains("polars")) {
                stop(panic);
            }
        }));
    });
    entries::parquet(bytes);
});
