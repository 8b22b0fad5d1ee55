//! Links the program to libtorch and compiles the C++ shim.
//!
//! The program must start without any environment variable, so the real folder of libtorch goes into its rpath: `LIBTORCH`
//! may be a folder of links (scripts/setup.sh makes one), which the loader's `$ORIGIN` is not resolved through.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is"));
    let real = fs::canonicalize(lib.join("libtorch_cpu.so"))
        .ok()
        .and_then(|file| file.parent().map(PathBuf::from))
        .unwrap_or_else(|| lib.clone());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.display());
    println!("cargo:rustc-env=STRATA_LIBTORCH={}", real.display());

    let include = match env::var("LIBTORCH_INCLUDE").or_else(|_| env::var("LIBTORCH")) {
        Ok(home) => PathBuf::from(home).join("include"),
        Err(_) => real.join("../include"),
    };
    let shim = "src/torch/shim.cpp";
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .opt_level(2)
        .flag("-fopenmp") // or libtorch's parallel loops, which are templates, run on one thread
        .warnings(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .file(shim)
        .compile("strata_shim");
    threads(&lib);
    // The loops over memory once for each instruction set; which one runs is decided at run time.
    let sets: [(&str, &[&str]); 3] = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => [
            ("baseline", &[]),
            ("avx2", &["-march=x86-64-v3"]),
            ("avx512", &["-march=x86-64-v4", "-mavx512bf16", "-mprefer-vector-width=512"]),
        ],
        _ => [("baseline", &[]), ("avx2", &[]), ("avx512", &[])],
    };
    for (name, flags) in sets {
        let mut build = cc::Build::new();
        build
            .cpp(true)
            .std("c++20")
            .opt_level(3)
            .warnings(false)
            .flag_if_supported("-Wno-psabi")
            .define("STRATA_ISA", name);
        flags.iter().for_each(|flag| _ = build.flag(flag));
        build.file("src/torch/kernels/kernels.cpp").compile(&format!("strata_kernels_{name}"));
    }
    // Not the folders: they hold Rust too, and compiling the C++ takes minutes.
    for folder in ["src/torch", "src/torch/kernels"] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in entries.filter(|path| path.extension().is_some_and(|kind| kind == "cpp" || kind == "h")) {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    println!("cargo:rerun-if-env-changed=LIBTORCH");
}

/// The OpenMP functions that libtorch finds in the program, before it looks in libgomp: see src/torch/threads.cpp.
fn threads(lib: &Path) {
    let needed = Command::new("readelf").arg("-d").arg(lib.join("libtorch_cpu.so")).output();
    if let Ok(output) = needed
        && !String::from_utf8_lossy(&output.stdout).contains("libgomp")
    {
        panic!(
            "Strata needs a libtorch built with GNU OpenMP, such as that of PyTorch's wheels; {} is not",
            lib.display()
        );
    }
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .opt_level(2)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .files(["src/torch/threads.cpp", "src/torch/threads_test.cpp"])
        .compile("strata_threads");
    for functions in ["GOMP_*", "omp_*"] {
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic-symbol={functions}");
    }
}
