#![no_main]

rectify_libfuzzer::target!("audit");
