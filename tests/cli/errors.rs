//! Bad input: exit code 2, words for a person, nothing written.

use super::place::{Place, Ran, TINY};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use strata::model::{read_tensors, write_tensors};
use tch::{Device, Kind, Tensor};

#[test]
fn a_missing_file_gets_the_nearest_name() {
    let place = Place::new();
    place.file("experiments/resnet18.toml", TINY);
    place.strata(&["train", "resnet81"]).refused(&["no experiment file `resnet81`", "did you mean `resnet18`?"]);
    for typo in ["experiments/resnt18.toml", "resnet18.tml"] {
        place.strata(&["train", typo]).refused(&["did you mean `resnet18`?"]);
    }
    place.strata(&["cost", "lenet"]).refused(&["experiments/ has resnet18"]);
    place.file("experiments/sweeps/grid.toml", TINY);
    for command in ["show", "cost"] {
        place.strata(&[command, "nothing"]).refused(&["experiments/ has resnet18, sweeps/\n"]);
    }
    Place::new().strata(&["cost", "lenet"]).refused(&["there is no folder experiments/ here"]);
    assert!(!place.path("results").exists());
}

#[test]
fn a_folder_in_place_of_a_file_is_called_one() {
    let place = Place::new();
    place.file("experiments/resnet18.toml", TINY);
    place.file("results/kept/experiment.toml", TINY);
    place
        .strata(&["train", "experiments"])
        .refused(&["`experiments` is a folder", "such as experiments/resnet18.toml"]);
    place.strata(&["train", "results/kept"]).refused(&["is a folder; its experiment is results/kept/experiment.toml"]);
    // An experiment beside its images needs no ending, and a file in experiments/ comes before it.
    place.file("pets/a.png", "");
    place.file("pets.toml", TINY);
    assert!(place.strata(&["cost", "pets"]).good().contains("pets"));
    place.file("experiments/pets.toml", TINY.replace("depth = 8", "depth = 7"));
    place.strata(&["cost", "pets"]).refused(&["experiments/pets.toml", "depth"]);
}

#[test]
fn sweeps_are_found_by_name_and_are_no_part_of_one_experiment() {
    let place = Place::new();
    place.file("experiments/sweeps/lecture.toml", format!("{TINY}[sweep]\nseed = [0]\n"));
    place.strata(&["train", "lecture"]).refused(&["no experiment file `lecture`; did you mean `sweeps/lecture`?"]);
    place.strata(&["sweep", "lectur"]).refused(&["did you mean `sweeps/lecture`?"]);
    let listed = place.strata(&["sweep", "lecture", "--dry-run"]).good();
    assert!(listed.contains("\n1 point, 1 to run"), "{listed}");
    // What is no part of a single experiment is said.
    for command in ["train", "show", "cost"] {
        let ran = place.strata(&[command, "sweeps/lecture", "--set", "train.epochs=1"]);
        assert_eq!(
            ran.err.matches("is ignored; `strata sweep sweeps/lecture` runs its points").count(),
            1,
            "{}",
            ran.err
        );
        ran.good();
    }
    let ran = place.strata(&["show", "sweeps/lecture", "--diagram", "nowhere/x.svg"]);
    ran.refused(&["cannot write nowhere/x.svg: there is no folder nowhere"]);
}

#[test]
fn a_typo_in_the_last_file_stops_the_first_from_running() {
    let place = Place::with_tiny();
    place.file("wrong.toml", TINY.replace("epochs", "epoch"));
    place.strata(&["train", "tiny.toml", "wrong.toml"]).refused(&["wrong.toml:15", "did you mean `epochs`?"]);
    assert!(!place.path("results").exists());
}

/// Numbers of GPUs were narrowed to 64 signed bits, where the first of these is -1, and later to eight.
#[test]
fn numbers_of_gpus_that_none_has_are_refused() {
    let place = Place::with_tiny();
    for number in ["18446744073709551615", "9223372036854775808", "4294967296", "256", "128"] {
        let ran = place.strata(&["train", "tiny.toml", "--device", &format!("cuda:{number}")]);
        ran.refused(&[&format!("--device cuda:N takes an N of 0 to 127, not {number}")]);
    }
    for word in ["cuda:-1", "cuda:", "cuda:1.5", "cuda:18446744073709551616", "gpu"] {
        place.strata(&["train", "tiny.toml", "--device", word]).refused(&["--device is auto, cpu, cuda or cuda:N"]);
    }
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let place = Place::new();
    place.file("binary.toml", [0xff, 0xfe, 0x00]);
    place.strata(&["train", "binary.toml"]).refused(&["cannot read binary.toml", "UTF-8"]);
    assert!(!place.path("results").exists());
}

#[test]
fn wrong_words_on_the_command_line_are_refused() {
    let place = Place::with_tiny();
    let tiny = "tiny.toml";
    place
        .strata(&["train", tiny, "--device", "gpu"])
        .refused(&["--device is auto, cpu, cuda or cuda:N, not `gpu`; did you mean `cuda`?"]);
    place.strata(&["train", tiny, "--device", "cuda:x"]).refused(&["not `cuda:x`"]);
    place.strata(&["train"]).refused(&["<FILE>"]);
    place.strata(&["tarin", tiny]).refused(&["tarin", "train"]);
    place.strata(&["train", tiny, "--sett", "x=1"]).refused(&["--sett", "--set"]);
    place.strata(&["cost", tiny, "--input", "3x224"]).refused(&["--input takes CxHxW", "not `3x224`"]);
    place.strata(&["cost", tiny, "--input", "3xfoox32x32"]).refused(&["not `3xfoox32x32`"]);
    place.strata(&["cost", tiny, "--input", "1x0x0"]).refused(&["input is [channels, height, width]"]);
    place.strata(&["cost", tiny, "--classes", "1"]).refused(&["classes is between 2 and 100000, not 1"]);
    place.strata(&["predict", tiny]).refused(&["there is no run of `tiny.toml`", "--weights"]);
    place.strata(&["predict", tiny, "--weights", "w"]).refused(&["predict needs images, or --input and --output"]);
    place.strata(&["predict", "resnet20"]).refused(&["there is no run `resnet20`"]);
    place.strata(&["predict", tiny, "--input", "x"]).refused(&["--output"]);
    assert!(!place.path("results").exists());
}

#[test]
fn a_number_of_threads_that_cannot_be_is_refused() {
    let place = Place::with_tiny();
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_strata"));
    let ran = command.current_dir(place.path("")).args(["train", "tiny.toml", "--threads", "0"]).assert().code(2);
    let err = String::from_utf8_lossy(&ran.get_output().stderr).into_owned();
    assert!(err.contains("--threads takes 1 to 1024, not 0"), "{err}");
    assert!(!place.path("results").exists());
}

#[test]
fn more_threads_than_cores_are_noted() {
    let place = Place::with_tiny();
    let run = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_strata"));
        let ran = command.current_dir(place.path("")).args(arguments).args(["doctor", "--threads", "1000"]).unwrap();
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    assert!(run(&[]).contains("--threads 1000 is more than the "));
    assert_eq!(run(&["-q"]), "");
}

/// `strata mine train` only said that there is no command of this name.
#[test]
fn an_experiment_in_front_of_its_command_is_recognised() {
    let place = Place::with_tiny();
    place
        .strata(&["tiny", "train"])
        .refused(&["`tiny` is an experiment; the command comes first: `strata train tiny`"]);
    place.strata(&["trian", "tiny"]).refused(&["a similar subcommand exists: 'train'"]);
}

#[test]
fn cuda_where_there_is_none_is_refused() {
    if tch::Cuda::is_available() {
        return;
    }
    let place = Place::with_tiny();
    place.strata(&["train", "tiny.toml", "--device", "cuda"]).refused(&["--device cuda: "]);
    let doctor = place.strata(&["doctor"]).good();
    let reason = doctor.lines().find_map(|line| line.strip_prefix("cuda")).unwrap().trim();
    place.strata(&["doctor", "--device", "cuda"]).refused(&[&format!("--device cuda: {reason}")]);
    assert!(!place.path("results").exists());
}

#[test]
fn a_results_folder_that_cannot_be_written_is_named() {
    let place = Place::with_tiny();
    place.file("results", "a file in the way");
    let parts = ["cannot make results/runs/tiny/", "--results DIR takes another"];
    place.strata(&["train", "tiny.toml"]).refused(&parts);
    assert_eq!(fs::read_to_string(place.path("results")).unwrap(), "a file in the way");
}

#[test]
fn a_dataset_that_is_cut_short_is_not_taken() {
    let place = Place::new();
    place.file("mine/train-images-idx3-ubyte", [0; 100]);
    place
        .strata(&["fetch", "fashion-mnist", "--from", "mine"])
        .refused(&["mine/train-images-idx3-ubyte", "ends after 100 of 47040016 bytes"]);
    place.strata(&["fetch", "cifar10", "--from", "mine"]).refused(&["mine"]);
    place.strata(&["fetch", "minst"]).refused(&["unknown dataset 'minst'", "did you mean 'mnist'?"]);
    for dataset in ["fashion-mnist", "cifar10"] {
        assert!(!place.path("cache/strata/datasets").join(dataset).exists());
    }
}

#[test]
fn a_dataset_in_the_cache_that_is_cut_short_is_named() {
    let place = Place::new();
    for file in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
        place.file(&format!("cache/strata/datasets/fashion-mnist/{file}-ubyte"), [0; 100]);
    }
    let (cache, fashion_mnist) = (place.path("cache/strata"), strata::data::source("fashion-mnist").unwrap());
    assert!(!strata::data::present(&fashion_mnist, &cache));
    let message = strata::data::load(&fashion_mnist, &cache).unwrap_err().to_string();
    assert!(message.contains("train-images-idx3-ubyte: it has 100 bytes and should have 47040016"), "{message}");
    let doctor = place.strata(&["doctor"]).good();
    assert!(doctor.contains("fashion-mnist: not fetched; run `strata fetch fashion-mnist`"), "{doctor}");
}

#[test]
fn a_run_that_is_not_there_gets_the_nearest_name() {
    let place = Place::new();
    fs::create_dir_all(place.path("results/runs/resnet18")).unwrap();
    place.strata(&["eval", "resnt18"]).refused(&["there is no run `resnt18`: did you mean `resnet18`?"]);
    place.strata(&["eval", "googlenet"]).refused(&["no run `googlenet`", "results/runs/NAME/KEY"]);
    place.strata(&["predict", "googlenet", "x.png"]).refused(&["no run `googlenet`", "results/runs/NAME/KEY"]);
}

/// `strata show resnet20 > mine.toml` leaves `name = "resnet20"` in the file; its run was not found by the file's name.
#[test]
fn a_file_with_another_name_finds_its_run() {
    let place = Place::new();
    let text = format!("name = \"net\"\n{}", TINY.replace("epochs = 2", "epochs = 1"));
    place.file("experiments/mine.toml", &text);
    let untrained = ["there is no run of `mine`, which has the name `net`; train it with `strata train mine`"];
    place.strata(&["eval", "mine"]).refused(&untrained);
    place.strata(&["predict", "mine", "x.png"]).refused(&[untrained[0], ", or give --weights"]);
    place.strata(&["compare", "mine"]).refused(&["has `name = \"net\"`, it has not run yet: `strata train mine`"]);
    place.strata(&["train", "mine"]).good();
    for run in ["mine", "mine@best", "experiments/mine.toml"] {
        place.strata(&["eval", run]).good();
    }
    place.strata(&["diff", "mine", "net"]).good();
    place.strata(&["predict", "mine", "x.png"]).refused(&["x.png", "No such file"]);
    place.strata(&["compare", "mine"]).refused(&["has `name = \"net\"`, its results are those of `net`"]);
    let key = place.run("net").key().to_owned();
    place.strata(&["eval", &format!("mine/{key}")]).refused(&[&format!("did you mean `net/{key}`?")]);
    place.file("experiments/mine.toml", text.replace("lr = 0.05", "lr = 0.06"));
    place.strata(&["eval", "mine"]).refused(&[&format!("with other settings there is net/{key}; train it with")]);
}

#[test]
fn a_run_without_weights_says_so() {
    let place = Place::new();
    place.file("results/runs/tiny/0123456789/experiment.toml", TINY);
    place.strata(&["eval", "tiny"]).refused(&["results/runs/tiny/0123456789 has no trained weights"]);
}

/// Results in git have tables only; it was said that no epoch of them had ended.
#[test]
fn a_result_in_git_without_weights_says_how_to_train_it_again() {
    let place = Place::new();
    place.file("results/kept/experiment.toml", format!("name = \"kept\"\n{TINY}"));
    place.file("results/kept/summary.csv", "name,status\nkept,done\n");
    for command in [&["eval", "results/kept"][..], &["eval", "kept"], &["predict", "kept", "x.png"]] {
        let parts = ["results/kept has no weights", "`strata train results/kept/experiment.toml`"];
        place.strata(command).refused(&parts);
    }
    place.file("experiments/kept.toml", TINY);
    place.strata(&["eval", "kept"]).refused(&["`strata train kept` trains it again"]);
}

/// `predict` of one image with weights that are `change`d ones of a trained run.
fn with_weights(change: impl FnOnce(&mut Vec<(String, Tensor)>)) -> super::place::Ran {
    let place = Place::with_tiny();
    let mut tensors = vec![];
    let network = strata::config::Experiment::load(&place.path("tiny.toml"), &[], Default::default()).unwrap().network;
    for param in network.params() {
        tensors.push((param.name, Tensor::zeros(param.shape, (Kind::Float, Device::Cpu))));
    }
    change(&mut tensors);
    write_tensors(&place.path("w.safetensors"), &tensors).unwrap();
    image::GrayImage::new(14, 14).save(place.path("x.png")).unwrap();
    place.strata(&["predict", "tiny.toml", "--weights", "w.safetensors", "x.png"])
}

#[test]
fn weights_that_fit_are_taken() {
    let out = with_weights(|_| ()).good();
    assert!(out.contains("x.png") && out.contains("10.00 %"), "{out}");
}

#[test]
fn weights_of_another_network_are_refused() {
    with_weights(|tensors| drop(tensors.pop())).refused(&["w.safetensors has no tensor `fc.bias`"]);
    with_weights(|tensors| tensors[0].0 = "elsewhere".to_owned()).refused(&["has no tensor `conv1.weight`"]);
    with_weights(|tensors| tensors.push(("extra".to_owned(), Tensor::from(1.0f32))))
        .refused(&["has a tensor `extra` that the network does not know"]);
    with_weights(|tensors| tensors[0].1 = Tensor::zeros([8, 3, 3, 3], (Kind::Float, Device::Cpu)))
        .refused(&["`conv1.weight` has shape [8, 3, 3, 3], the network needs [8, 1, 3, 3]"]);
}

#[test]
fn weights_that_are_no_weights_are_refused() {
    let place = Place::with_tiny();
    image::GrayImage::new(14, 14).save(place.path("x.png")).unwrap();
    let predict = || place.strata(&["predict", "tiny.toml", "--weights", "w.safetensors", "x.png"]);
    predict().refused(&["cannot read w.safetensors", "No such file"]);
    place.file("w.safetensors", "hello");
    predict().refused(&["w.safetensors", "not a safetensors file"]);
    for torch in [&b"PK\x03\x04archive/data.pkl"[..], b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j"] {
        place.file("w.safetensors", torch);
        predict().refused(&["written by torch.save", "torch.load(\"w.safetensors\"", "weights_only=True", "save_file"]);
    }
    // A header that says it is eight exabytes long must neither be believed nor paid for.
    place.file("w.safetensors", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, b'{', b'}']);
    predict().refused(&["not a safetensors file"]);
    let header = br#"{"conv1.weight":{"dtype":"F32","shape":[8,1,3,3],"data_offsets":[0,9999999]}}"#;
    place.file("w.safetensors", [&(header.len() as u64).to_le_bytes()[..], &header[..]].concat());
    predict().refused(&["not a safetensors file"]);
}

#[test]
fn what_is_no_image_is_refused() {
    let place = Place::trained("tiny", &TINY.replace("epochs = 2", "epochs = 1"));
    place.file("x.png", "this is text");
    place.strata(&["predict", "tiny", "x.png"]).refused(&["x.png", "not an image"]);
    place.strata(&["predict", "tiny", "none.png"]).refused(&["none.png", "No such file"]);
    place.file("empty/note.txt", "no image");
    place.strata(&["predict", "tiny", "empty"]).refused(&["there is no image in empty or below it", ".webp"]);
}

#[test]
fn a_tensor_that_is_no_batch_of_images_is_refused() {
    let place = Place::trained("tiny", &TINY.replace("epochs = 2", "epochs = 1"));
    let predict = |name: &str, shape: &[i64]| {
        let tensors = [(name.to_owned(), Tensor::zeros(shape, (Kind::Float, Device::Cpu)))];
        write_tensors(&place.path("x.safetensors"), &tensors).unwrap();
        place.strata(&["predict", "tiny", "--input", "x.safetensors", "--output", "y.safetensors"])
    };
    predict("images", &[1, 1, 14, 14]).refused(&["x.safetensors has no tensor called `input`"]);
    predict("input", &[14, 14]).refused(&["`input` has shape [14, 14]; it must be [N, C, H, W]"]);
    predict("input", &[0, 1, 14, 14]).refused(&["there is no image in it"]);
    predict("input", &[1, 3, 14, 14]).refused(&["conv1.weight"]);
    assert!(!place.path("y.safetensors").exists());
    predict("input", &[2, 1, 14, 14]).good();
    assert_eq!(read_tensors(&place.path("y.safetensors")).unwrap()["logits"].size(), [2, 10]);
}

/// The program used to panic where it could not write to standard error, in a run and in a sweep's process.
#[test]
fn nobody_who_listens_ends_no_run() {
    let place = Place::with_tiny();
    place.file("grid.toml", format!("{TINY}[sweep]\nseed = [1, 2]\n"));
    for arguments in [&["train", "tiny.toml"][..], &["-v", "train", "tiny.toml", "--force"], &["sweep", "grid.toml"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let status = place.command(arguments).stdout(Stdio::null()).stderr(full).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = place.command(&["cost", "missing"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn folders_need_no_name_in_letters() {
    let place = Place::with_tiny();
    let mut command = place.command(&["train", "tiny.toml", "--results"]);
    let ran = Ran::from(command.arg(OsStr::from_bytes(b"r\xff")).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}
