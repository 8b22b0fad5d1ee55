//! Links the program to libtorch and compiles the C++ part, src/torch/cpp.
//!
//! The program must start without any environment variable, so the real folder of libtorch goes into its rpath: `LIBTORCH`
//! may be a folder of links (scripts/setup.sh makes one), which the loader's `$ORIGIN` is not resolved through.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs, thread};

const CPP: &str = "src/torch/cpp";

/// The warning is a false one about GCC 12's own header (its bug 105593).
const AVX512: &[&str] = &["-march=x86-64-v4", "-mprefer-vector-width=512", "-Wno-maybe-uninitialized"];

fn main() {
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is"));
    let real = fs::canonicalize(lib.join("libtorch_cpu.so"))
        .ok()
        .and_then(|file| file.parent().map(PathBuf::from))
        .unwrap_or_else(|| lib.clone());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.display());
    println!("cargo:rustc-env=STRATA_LIBTORCH={}", real.display());
    require_gnu_openmp(&lib);

    let include = match env::var("LIBTORCH_INCLUDE").or_else(|_| env::var("LIBTORCH")) {
        Ok(home) => PathBuf::from(home).join("include"),
        Err(_) => real.join("../include"),
    };
    let mut shim = cpp(2);
    shim.flag("-fopenmp"); // or libtorch's parallel loops, which are templates, run on one thread
    for folder in [include.clone(), include.join("torch/csrc/api/include")] {
        shim.flag("-isystem").flag(&folder);
    }
    shim.include(CPP); // its folder gloo
    let mut units = units(CPP, "shim", &shim);
    // The loops over memory once for each instruction set; which one runs is decided at run time.
    let avx512_bf16 = [AVX512, &["-mavx512bf16"]].concat();
    let sets: [(&str, &[&str]); 4] = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => {
            [("baseline", &[]), ("avx2", &["-march=x86-64-v3"]), ("avx512", AVX512), ("avx512_bf16", &avx512_bf16)]
        }
        _ => [("baseline", &[]), ("avx2", &[]), ("avx512", &[]), ("avx512_bf16", &[])],
    };
    for (set, flags) in sets {
        let mut kernels = cpp(3);
        kernels.flag_if_supported("-Wno-psabi").define("STRATA_ISA", set).flags(flags);
        units.extend(self::units(&format!("{CPP}/kernels"), set, &kernels));
    }
    let objects: Vec<PathBuf> = units.iter().map(|unit| unit.object.clone()).collect();
    compile(units);
    cc::Build::new().cpp(true).objects(objects).compile("strata_cpp");

    // The OpenMP functions that libtorch finds in the program, before it looks in libgomp: see threads.cpp.
    for functions in ["GOMP_*", "omp_*"] {
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic-symbol={functions}");
    }
    // By name, because rustc links without the compiler's default libraries.
    for (sanitizer, runtime) in [("-fsanitize=address", "-lasan"), ("-fsanitize=undefined", "-lubsan")] {
        if extra_flags().iter().any(|flag| flag == sanitizer) {
            println!("cargo:rustc-link-arg={runtime}");
        }
    }
    println!("cargo:rerun-if-env-changed=STRATA_CXXFLAGS");
    println!("cargo:rerun-if-changed={CPP}");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
}

fn require_gnu_openmp(lib: &Path) {
    let needed = Command::new("readelf").arg("-d").arg(lib.join("libtorch_cpu.so")).output();
    if let Ok(output) = needed
        && !String::from_utf8_lossy(&output.stdout).contains("libgomp")
    {
        panic!(
            "Strata needs a libtorch built with GNU OpenMP, such as that of PyTorch's wheels; {} is not",
            lib.display()
        );
    }
}

fn cpp(opt_level: u32) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").opt_level(opt_level).extra_warnings(true).warnings_into_errors(true);
    build.flags(extra_flags());
    build
}

/// Flags of scripts/sanitize.sh.
fn extra_flags() -> Vec<String> {
    env::var("STRATA_CXXFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// One source file and the object that is made of it.
struct Unit {
    source: PathBuf,
    object: PathBuf,
    command: Command,
}

/// The units of a folder, compiled as `build` says, to objects with a prefix of their own.
fn units(folder: &str, prefix: &str, build: &cc::Build) -> Vec<Unit> {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let entries = fs::read_dir(folder).expect("the C++ part is there").flatten().map(|entry| entry.path());
    let mut sources: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "cpp")).collect();
    sources.sort();
    let compiler = build.get_compiler();
    let unit = |source: PathBuf| {
        let object = out.join(format!("{prefix}-{}.o", source.file_stem().unwrap_or_default().display()));
        let mut command = compiler.to_command();
        command.arg("-MMD").arg("-MF").arg(object.with_extension("d"));
        command.arg("-c").arg(&source).arg("-o").arg(object.with_extension("part"));
        Unit { source, object, command }
    };
    sources.into_iter().map(unit).collect()
}

/// Compiles the units that changed since their objects were made, on as many threads as cargo grants.
fn compile(units: Vec<Unit>) {
    let jobs = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1);
    let queue = Mutex::new(units.into_iter().filter(|unit| !unit.is_made()));
    let work = || {
        while let Some(mut unit) = { queue.lock().expect("no thread panics with it").next() } {
            unit.make();
        }
    };
    thread::scope(|scope| (0..jobs).for_each(|_| _ = scope.spawn(work)));
}

impl Unit {
    /// Whether the object was made by this command, and no file of ours that the compiler read has changed since it began.
    fn is_made(&self) -> bool {
        let time = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        let begun = self.object.with_extension("command");
        let Ok(dependencies) = fs::read_to_string(self.object.with_extension("d")) else { return false };
        let mut files = dependencies.split_whitespace().skip(1).filter(|&word| word != "\\");
        self.object.exists()
            && fs::read_to_string(&begun).is_ok_and(|command| command == self.text())
            && files.all(|file| time(Path::new(file)).is_some_and(|changed| Some(changed) < time(&begun)))
    }

    /// The command without its environment, which differs between `cargo check` and `cargo build`.
    fn text(&self) -> String {
        let words: Vec<_> = [self.command.get_program()].into_iter().chain(self.command.get_args()).collect();
        format!("{words:?}")
    }

    fn make(&mut self) {
        _ = fs::remove_file(&self.object);
        fs::write(self.object.with_extension("command"), self.text()).expect("OUT_DIR can be written");
        let done = self.command.status();
        assert!(done.is_ok_and(|status| status.success()), "{} does not compile", self.source.display());
        // A compiler that is killed leaves half an object.
        fs::rename(self.object.with_extension("part"), &self.object).expect("OUT_DIR can be written");
    }
}
