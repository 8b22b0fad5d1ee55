//! The fuzzers start without any environment variable, as the program does: libtorch's folder goes into their rpath.

use std::{env, fs, path::PathBuf};

fn main() {
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is"));
    let real = fs::canonicalize(lib.join("libtorch_cpu.so")).expect("libtorch is there");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.parent().expect("it lies in a folder").display());
    // libtorch finds src/torch/cpp/threads.cpp here, as it does in the program.
    for functions in ["GOMP_*", "omp_*"] {
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic-symbol={functions}");
    }
}
