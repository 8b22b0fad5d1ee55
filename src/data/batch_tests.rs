//! Tests of batches. In a file of their own: they outgrew the code.

use std::collections::HashSet;

use super::super::images::tests::{files, listed};
use super::*;
use crate::data::{Crop, Cutout, Flip, Lighting, Mixup, RandAugment};

/// Pixels equal 1 + their position, so that a window's position can be read off.
fn ramp(count: usize, shape: [usize; 3]) -> Images {
    let size = shape.iter().product::<usize>();
    let pixels = (0..count * size).map(|i| (1 + i % size) as u8).collect();
    Images::new(shape, pixels, (0..count as u16).collect())
}

/// Normalised values equal the bytes.
fn bytes() -> Normalise {
    Normalise { mean: vec![0.0], std: vec![1.0 / 255.0] }
}

#[test]
fn evaluation_is_normalised_only() {
    let images = ramp(3, [2, 1, 2]);
    let norm = Normalise { mean: vec![0.0, 1.0 / 255.0], std: vec![1.0 / 255.0, 2.0 / 255.0] };
    let batch = eval_batch(&images, 1..9, &norm).unwrap();
    assert_eq!((batch.shape, &batch.labels[..]), ([2, 2, 1, 2], &[1, 2][..]), "the range stops at the last image");
    for (value, expected) in batch.pixels.iter().zip([1.0, 2.0, 1.0, 1.5, 1.0, 2.0, 1.0, 1.5]) {
        assert!((value - expected).abs() < 1e-5, "{:?}", batch.pixels);
    }
}

#[test]
fn without_augmentation_train_equals_eval() {
    let images = ramp(4, [3, 4, 5]);
    let norm = Normalise::of(&images).unwrap();
    let train = train_batch(&images, &[0, 1, 2, 3], &norm, &Augment::default(), 1, 2).unwrap();
    assert_eq!(train, eval_batch(&images, 0..4, &norm).unwrap());
}

/// Every window of the padded image is taken, the last offset (2 * crop) included, and each is right to the pixel.
#[test]
fn crop_takes_every_offset_and_flip_mirrors() {
    let (images, augment) = (ramp(600, [1, 3, 4]), Augment { crop: Crop(1), flip: Flip::Random, ..Augment::default() });
    let indices: Vec<u32> = (0..600).collect();
    let batch = train_batch(&images, &indices, &bytes(), &augment, 0, 0).unwrap();
    let mut windows = HashSet::new();
    for got in batch.pixels.chunks_exact(12) {
        let got: Vec<u8> = got.iter().map(|v| v.round() as u8).collect();
        let matching = (0..3).flat_map(|dy| (0..3).flat_map(move |dx| [(dy, dx, false), (dy, dx, true)]));
        let found = matching.into_iter().find(|&(dy, dx, flip)| {
            (0..12).all(|at| {
                let (y, x) = (at / 4, if flip { 3 - at % 4 } else { at % 4 });
                let (py, px) = (y + dy, x + dx);
                let inside = (1..4).contains(&py) && (1..5).contains(&px);
                got[at] == if inside { (1 + (py - 1) * 4 + px - 1) as u8 } else { 0 }
            })
        });
        windows.insert(found.expect("a window of the padded image"));
    }
    assert_eq!(windows.len(), 18, "3 x 3 offsets, mirrored or not");
}

#[test]
fn padding_is_a_zero_pixel_before_normalisation() {
    let images = Images::new([1, 1, 1], vec![255; 64], vec![0; 64]);
    let norm = Normalise { mean: vec![0.5], std: vec![0.5] };
    let batch = train_batch(
        &images,
        &(0..64).collect::<Vec<_>>(),
        &norm,
        &Augment { crop: Crop(5), ..Augment::default() },
        0,
        0,
    )
    .unwrap();
    assert!(batch.pixels.iter().all(|&v| v == 1.0 || v == -1.0), "a crop wider than the image is still in bounds");
    assert!(batch.pixels.contains(&-1.0));
}

#[test]
fn an_image_does_not_depend_on_its_batch_but_on_the_epoch() {
    let (images, augment) = (ramp(32, [1, 6, 6]), Augment { crop: Crop(2), flip: Flip::Random, ..Augment::default() });
    let whole = train_batch(&images, &(0..32).collect::<Vec<_>>(), &bytes(), &augment, 5, 1).unwrap();
    let mut reused = whole.clone();
    reused.fill_train(&images, &[31, 7], &bytes(), &augment, 5, 1).unwrap();
    assert_eq!((reused.shape, &reused.labels[..]), ([2, 1, 6, 6], &[31, 7][..]));
    assert_eq!(reused.pixels[36..], whole.pixels[7 * 36..8 * 36]);
    let capacity = reused.pixels.capacity();
    reused.clear();
    assert_eq!((reused.shape[0], reused.pixels.capacity()), (0, capacity));
    let next = train_batch(&images, &(0..32).collect::<Vec<_>>(), &bytes(), &augment, 5, 2).unwrap();
    assert_ne!(whole.pixels, next.pixels);
}

#[test]
fn order_is_a_permutation_for_each_epoch() {
    assert_eq!(order(100, 1, 1), order(100, 1, 1));
    assert_ne!(order(100, 1, 1), order(100, 1, 2));
    assert_ne!(order(100, 1, 1), order(100, 2, 1));
    assert_eq!(order(100, 1, 1).into_iter().collect::<HashSet<_>>().len(), 100);
}

fn augmented() -> Augment {
    Augment {
        crop: Crop(2),
        flip: Flip::Random,
        resized_crop: ResizedCrop(true),
        lighting: Lighting(0.1),
        color_jitter: Some(Default::default()),
        rand_augment: Some(Default::default()),
        erasing: Some(Default::default()),
        ..Augment::default()
    }
}

#[test]
fn resized_crop_zooms_in() {
    let (images, indices) = (ramp(200, [1, 12, 12]), (0..200).collect::<Vec<_>>());
    let augment = Augment { resized_crop: ResizedCrop(true), ..Augment::default() };
    let batch = train_batch(&images, &indices, &bytes(), &augment, 0, 0).unwrap();
    let spread =
        |image: &[f32]| image.iter().copied().fold(0.0, f32::max) - image.iter().copied().fold(255.0, f32::min);
    let spreads: Vec<f32> = batch.pixels.chunks_exact(144).map(spread).collect();
    assert!(spreads.iter().all(|&spread| spread <= 143.0), "nothing comes from outside of the image");
    assert!(spreads.iter().any(|&spread| spread < 60.0) && spreads.iter().any(|&spread| spread > 130.0), "{spreads:?}");
}

/// Image files and images in memory give the same bits whatever the threads, the batch and what was in it before.
#[test]
fn threads_do_not_change_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let sizes: Vec<[u32; 2]> = (0..12).map(|i| [20 + 7 * i, 90 - 6 * i]).collect();
    let files = files(folder.path(), [3, 24, 24], &sizes);
    let (memory, order) = (ramp(12, [3, 9, 9]), order(12, 3, 4));
    for images in [&files, &memory] {
        let size = [images.shape[1], images.shape[2]];
        let view = |i: usize| augmented().view(3, 4, i as u32, size);
        let indices = || order.iter().map(|&i| i as usize);
        let mut alone = Batch::default();
        alone.fill(images, &bytes(), indices(), view, 1).unwrap();
        for threads in [2, 3, 64] {
            let mut batch = Batch::default();
            batch.fill_eval(images, 0..9, &bytes()).unwrap();
            batch.fill(images, &bytes(), indices(), view, threads).unwrap();
            assert_eq!(batch, alone);
        }
        let half = train_batch(images, &order[6..], &bytes(), &augmented(), 3, 4).unwrap();
        assert_eq!(half.pixels, alone.pixels[alone.pixels.len() / 2..]);
        let next = train_batch(images, &order[6..], &bytes(), &augmented(), 3, 5).unwrap();
        assert_ne!(half.pixels, next.pixels);
    }
}

/// The labels are those with the larger share, the partners run backwards, and an unmixed batch has targets of the same form.
#[test]
fn mixed_batches_have_two_labels() {
    let images = ramp(6, [1, 2, 2]);
    let mut shares = Vec::new();
    for p in [0.0, 1.0] {
        let mixup = Some(Mixup { alpha: 1.0, p });
        let augment = Augment { mixup, ..Augment::default() };
        for epoch in 0..20 {
            let batch = train_batch(&images, &[4, 2, 5], &bytes(), &augment, 0, epoch).unwrap();
            let mixed = batch.mixed.unwrap();
            let mut labels = [batch.labels, mixed.labels];
            labels.sort();
            assert_eq!(labels, [vec![4, 2, 5], vec![5, 2, 4]]);
            assert!((0.5..=1.0).contains(&mixed.share));
            shares.push(mixed.share);
        }
    }
    assert!(shares[..20].iter().all(|&share| share == 1.0) && shares[20..].iter().all(|&share| share < 1.0));
    assert_eq!(train_batch(&images, &[4, 2], &bytes(), &Augment::default(), 0, 0).unwrap().mixed, None);
}

/// Operations come after crop and flip, the light before normalisation, patches after it.
#[test]
fn augmentations_come_in_their_order() {
    let images = Images::new([3, 1, 1], vec![100, 110, 120], vec![0]);
    let norm = Normalise { mean: vec![0.5], std: vec![0.25] };
    let (indices, batch) = ([0], |augment: Augment| train_batch(&images, &[0], &norm, &augment, 1, 2).unwrap().pixels);
    let value = |byte: f32| (byte / 255.0 - 0.5) / 0.25;
    let lit = Augment { lighting: Lighting(0.5), ..Augment::default() };
    let light = lit.view(1, 2, indices[0], [1, 1]).light;
    for (found, expected) in batch(lit).iter().zip([0, 1, 2].map(|c| value(100.0 + 10.0 * c as f32) + light[c] / 0.25))
    {
        assert!((found - expected).abs() < 1e-5 && light[0] != 0.0);
    }
    // The strongest posterisation keeps 4 bits; with bins = 2 every magnitude of 1 is the strongest.
    let posterized = |epoch| {
        let augment = Augment {
            rand_augment: Some(RandAugment { ops: 1, magnitude: 1.0, bins: 2, ..RandAugment::default() }),
            cutout: Some(Cutout { length: 2, holes: 1 }),
            ..Augment::default()
        };
        let view = augment.view(1, epoch, 0, [1, 1]);
        let pixels = train_batch(&images, &[0], &norm, &augment, 1, epoch).unwrap().pixels;
        assert_eq!((view.ops.len(), view.patches.len(), pixels), (1, 1, vec![0.0; 3]), "the hole is in front");
    };
    (0..20).for_each(posterized);
}

/// Copies are the same image with its label, augmented differently; the first is augmented as ever.
#[test]
fn copies_of_an_image_differ() {
    let (images, augment) = (ramp(5, [1, 9, 9]), Augment { crop: Crop(4), ..Augment::default() });
    let batch = train_batch(&images, &[3, 8, 13], &bytes(), &augment, 0, 0).unwrap();
    assert_eq!(batch.labels, [3, 3, 3]);
    let views: HashSet<String> = batch.pixels.chunks(81).map(|view| format!("{view:?}")).collect();
    assert_eq!(views.len(), 3);
    assert_eq!(batch.pixels[..81], train_batch(&images, &[3], &bytes(), &augment, 0, 0).unwrap().pixels);
}

#[test]
fn files_without_augmentation_train_as_they_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let images = files(folder.path(), [3, 64, 64], &[[80, 100], [300, 70], [64, 64]]);
    let train = train_batch(&images, &[0, 1, 2], &bytes(), &Augment::default(), 1, 2).unwrap();
    assert_eq!(train, eval_batch(&images, 0..3, &bytes()).unwrap());
    assert!((train.pixels[3 * 64 * 64] - 1.0).abs() < 1e-3, "the red of image 1 is 1");
}

/// No file after it hides the first one that is broken.
#[test]
fn a_broken_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), [3, 8, 8], &[[9, 9]; 12]);
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 64).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    std::fs::write(folder.path().join("5.png"), &jpeg.into_inner()[..40]).unwrap();
    let images = listed(folder.path(), [3, 8, 8], 12);
    std::fs::remove_file(folder.path().join("9.png")).unwrap();
    for threads in [1, 4] {
        let view = |i: usize| augmented().view(0, 0, i as u32, [8, 8]);
        let message = Batch::default().fill(&images, &bytes(), 0..12, view, threads).unwrap_err().to_string();
        assert!(message.contains("5.png: ") && message.contains("replace this file"), "{message}");
    }
    assert!(eval_batch(&images, 6..12, &bytes()).unwrap_err().to_string().contains("9.png"));
    assert!(eval_batch(&images, 0..5, &bytes()).is_ok());
}

/// Prints the time of a batch: `cargo test --release batch_speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn batch_speed() {
    for shape in [[1, 28, 28], [3, 32, 32]] {
        let count = 20_000;
        let pixels = (0..count * shape.iter().product::<usize>()).map(|i| (i * 31) as u8).collect();
        let images = Images::new(shape, pixels, vec![0; count]);
        let (order, augment) =
            (order(count, 0, 0), Augment { crop: Crop(4), flip: Flip::Random, ..Augment::default() });
        let (norm, mut batch) = (Normalise::of(&images).unwrap(), Batch::default());
        let mut times: Vec<f64> = order
            .chunks_exact(128)
            .map(|indices| {
                let start = std::time::Instant::now();
                batch.fill_train(&images, indices, &norm, &augment, 0, 0).unwrap();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{shape:?}: median {:.3} ms, slowest {:.3} ms", times[times.len() / 2], times[times.len() - 1]);
    }
}

#[test]
fn every_image_of_a_batch_is_one_ranks() {
    for (n, world) in [(25, 1), (25, 2), (24, 4), (25, 4), (3, 8), (1, 2)] {
        for in_pairs in [false, true] {
            let whole = order(n, 1, 1);
            let parts: Vec<_> =
                (0..world).map(|rank| part_of(&whole, &Ranks::unconnected(rank, world), in_pairs)).collect();
            let mut all: Vec<u32> = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..n as u32).collect::<Vec<_>>());
            let sizes = || parts.iter().map(Vec::len);
            assert!(sizes().max().unwrap() - sizes().min().unwrap() <= if in_pairs { 2 } else { 1 });
        }
    }
}

/// Ranks mix the pairs that one process mixes, with the same share.
#[test]
fn parts_are_mixed_as_the_whole_is() {
    let images = ramp(32, [1, 6, 6]);
    for augment in [
        Augment { mixup: Some(Mixup { alpha: 1.0, p: 1.0 }), ..Augment::default() },
        Augment { cutmix: Some(Default::default()), ..Augment::default() },
    ] {
        for n in [20, 21] {
            let indices = &order(32, 1, 1)[..n];
            let whole = train_batch(&images, indices, &bytes(), &augment, 5, 1).unwrap();
            let share = whole.mixed.as_ref().unwrap().share;
            for rank in 0..3 {
                let (own, mut batch) = (part_of(indices, &Ranks::unconnected(rank, 3), true), Batch::default());
                batch.fill_part(&images, (indices, &own), &bytes(), &augment, 5, 1).unwrap();
                assert_eq!((batch.whole, batch.labels.len()), (n, own.len()));
                assert_eq!(batch.mixed.as_ref().unwrap().share, share);
                for (at, image) in own.iter().enumerate() {
                    let there = indices.iter().position(|index| index == image).unwrap();
                    assert_eq!(batch.labels[at], whole.labels[there]);
                    assert_eq!(batch.pixels[at * 36..][..36], whole.pixels[there * 36..][..36]);
                }
            }
        }
    }
}
