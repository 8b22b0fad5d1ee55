//! `erasing`: a random rectangle is painted over.

use super::patch::{Fill, Patch};
use super::{Augmentation, View};
use crate::data::resample::Window;
use crate::named::{KeyError, check_range};
use crate::random;
use serde::{Deserialize, Serialize};

/// Random erasing (Zhong et al. 2017), drawn as torchvision's `RandomErasing` does: ten attempts, the aspect log-uniform.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasing {
    /// Probability for an image.
    pub p: f64,
    /// The rectangle's smallest and largest fraction of the area.
    pub area: [f64; 2],
    /// The smallest and largest ratio of height to width.
    pub aspect: [f64; 2],
    pub fill: Fill,
}

impl Default for Erasing {
    fn default() -> Erasing {
        Erasing { p: 0.5, area: [0.02, 0.4], aspect: [0.3, 1.0 / 0.3], fill: Fill::Random }
    }
}

impl Augmentation for Erasing {
    const STREAM: &'static str = "augment.erasing";

    fn draw(&self, key: u64, view: &mut View) {
        if random::uniform(key, 0) < self.p
            && let Some(window) = self.window(key, view.size)
        {
            view.patches.push(Patch { window, fill: self.fill, key: random::key(key, "fill", &[]) });
        }
    }

    fn check(&self, _: [usize; 3]) -> Result<(), KeyError> {
        check_range("erasing.p", self.p, 0.0, 1.0)?;
        let [small, large] = self.area;
        check_range("erasing.area", small, 0.0, large)?;
        check_range("erasing.area", large, small, 1.0)?;
        let [narrow, wide] = self.aspect;
        check_range("erasing.aspect", narrow, 1e-3, wide)?;
        check_range("erasing.aspect", wide, narrow, 1e3)
    }
}

impl Erasing {
    /// A rectangle smaller than the image; `None` where ten do not fit.
    fn window(&self, key: u64, [height, width]: [usize; 2]) -> Option<Window> {
        let between = |[low, high]: [f64; 2], u: f64| low + (high - low) * u;
        (0..10).map(|attempt| 1 + 4 * attempt).find_map(|draw| {
            let area = (height * width) as f64 * between(self.area, random::uniform(key, draw));
            let aspect = between(self.aspect.map(f64::ln), random::uniform(key, draw + 1)).exp();
            let tall = (area * aspect).sqrt().round_ties_even() as usize;
            let wide = (area / aspect).sqrt().round_ties_even() as usize;
            (tall < height && wide < width).then(|| {
                let corner = |draw, room: usize| random::below(key, draw, room as u64 + 1) as usize;
                let (top, left) = (corner(draw + 2, height - tall), corner(draw + 3, width - wide));
                Window { top, left, height: tall, width: wide }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torchvision 0.28's `RandomErasing(scale=(0.02, 0.4), ratio=(0.3, 3.3333))` erases 20.36 % of a 32x32 image on average over
    /// 60,000 draws, in rectangles 14.63 tall.
    #[test]
    fn rectangles_are_distributed_as_torchvisions() {
        let windows = (0..20_000).filter_map(|i| Erasing::default().window(random::key(1, "test", &[i]), [32, 32]));
        let windows: Vec<Window> = windows.collect();
        assert!(windows.len() > 19_990 && windows.iter().all(|w| w.top + w.height <= 32 && w.left + w.width <= 32));
        let mean =
            |f: &dyn Fn(&Window) -> usize| windows.iter().map(|w| f(w) as f64).sum::<f64>() / windows.len() as f64;
        let (area, tall) = (mean(&|w| w.height * w.width) / 1024.0, mean(&|w| w.height));
        assert!((area - 0.2036).abs() < 0.004 && (tall - 14.63).abs() < 0.25, "{area} {tall}");
    }
}
