//! Tests of batches. In a file of their own: they outgrew the code.

use std::collections::HashSet;

use super::*;

/// Pixels equal 1 + their position, so that a window's place can be read off.
fn ramp(count: usize, shape: [usize; 3]) -> Images {
    let size = shape.iter().product::<usize>();
    let pixels = (0..count * size).map(|i| (1 + i % size) as u8).collect();
    Images { shape, pixels, labels: (0..count as u16).collect() }
}

/// Normalised values equal the bytes.
fn bytes() -> Normalise {
    Normalise { mean: vec![0.0], std: vec![1.0 / 255.0] }
}

#[test]
fn evaluation_is_normalised_only() {
    let images = ramp(3, [2, 1, 2]);
    let norm = Normalise { mean: vec![0.0, 1.0 / 255.0], std: vec![1.0 / 255.0, 2.0 / 255.0] };
    let batch = eval_batch(&images, 1..9, &norm);
    assert_eq!((batch.shape, &batch.labels[..]), ([2, 2, 1, 2], &[1, 2][..]), "the range stops at the last image");
    for (value, expected) in batch.pixels.iter().zip([1.0, 2.0, 1.0, 1.5, 1.0, 2.0, 1.0, 1.5]) {
        assert!((value - expected).abs() < 1e-5, "{:?}", batch.pixels);
    }
}

#[test]
fn without_augmentation_train_equals_eval() {
    let images = ramp(4, [3, 4, 5]);
    let norm = Normalise::of(&images);
    let train = train_batch(&images, &[0, 1, 2, 3], &norm, &Augment::default(), 1, 2);
    assert_eq!(train, eval_batch(&images, 0..4, &norm));
}

/// Every window of the padded image is taken, the last offset (2 * crop) included, and each is right to the pixel.
#[test]
fn crop_takes_every_offset_and_flip_mirrors() {
    let (images, augment) = (ramp(600, [1, 3, 4]), Augment { crop: 1, flip: true, ..Augment::default() });
    let indices: Vec<u32> = (0..600).collect();
    let batch = train_batch(&images, &indices, &bytes(), &augment, 0, 0);
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
    let images = Images { shape: [1, 1, 1], pixels: vec![255; 64], labels: vec![0; 64] };
    let norm = Normalise { mean: vec![0.5], std: vec![0.5] };
    let batch = train_batch(
        &images,
        &(0..64).collect::<Vec<_>>(),
        &norm,
        &Augment { crop: 5, flip: false, ..Augment::default() },
        0,
        0,
    );
    assert!(batch.pixels.iter().all(|&v| v == 1.0 || v == -1.0), "a crop wider than the image is still in bounds");
    assert!(batch.pixels.contains(&-1.0));
}

#[test]
fn an_image_does_not_depend_on_its_batch_but_on_the_epoch() {
    let (images, augment) = (ramp(32, [1, 6, 6]), Augment { crop: 2, flip: true, ..Augment::default() });
    let whole = train_batch(&images, &(0..32).collect::<Vec<_>>(), &bytes(), &augment, 5, 1);
    let mut reused = whole.clone();
    reused.fill_train(&images, &[31, 7], &bytes(), &augment, 5, 1);
    assert_eq!((reused.shape, &reused.labels[..]), ([2, 1, 6, 6], &[31, 7][..]));
    assert_eq!(reused.pixels[36..], whole.pixels[7 * 36..8 * 36]);
    let capacity = reused.pixels.capacity();
    reused.clear();
    assert_eq!((reused.shape[0], reused.pixels.capacity()), (0, capacity));
    let next = train_batch(&images, &(0..32).collect::<Vec<_>>(), &bytes(), &augment, 5, 2);
    assert_ne!(whole.pixels, next.pixels);
}

#[test]
fn order_is_a_permutation_for_each_epoch() {
    assert_eq!(order(100, 1, 1), order(100, 1, 1));
    assert_ne!(order(100, 1, 1), order(100, 1, 2));
    assert_ne!(order(100, 1, 1), order(100, 2, 1));
    assert_eq!(order(100, 1, 1).into_iter().collect::<HashSet<_>>().len(), 100);
}

#[test]
fn mean_and_std_of_each_channel() {
    let images = Images { shape: [2, 1, 2], pixels: vec![0, 255, 51, 51, 0, 255, 51, 51], labels: vec![0, 1] };
    let norm = Normalise::of(&images);
    assert_eq!((norm.mean, norm.std), (vec![0.5, 0.2], vec![0.5, 1.0]));
}

#[test]
fn augment_is_read_strictly() {
    let read = serde_json::from_str::<Augment>;
    assert_eq!(read(r#"{"crop": 4}"#).unwrap(), Augment { crop: 4, flip: false, ..Augment::default() });
    assert!(read(r#"{"corp": 4}"#).is_err());
}

/// Prints the time of a batch: `cargo test --release batch_speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn batch_speed() {
    for shape in [[1, 28, 28], [3, 32, 32]] {
        let count = 20_000;
        let pixels = (0..count * shape.iter().product::<usize>()).map(|i| (i * 31) as u8).collect();
        let images = Images { shape, pixels, labels: vec![0; count] };
        let (order, augment) = (order(count, 0, 0), Augment { crop: 4, flip: true, ..Augment::default() });
        let (norm, mut batch) = (Normalise::of(&images), Batch::default());
        let mut times: Vec<f64> = order
            .chunks_exact(128)
            .map(|indices| {
                let start = std::time::Instant::now();
                batch.fill_train(&images, indices, &norm, &augment, 0, 0);
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{shape:?}: median {:.3} ms, slowest {:.3} ms", times[times.len() / 2], times[times.len() - 1]);
    }
}
