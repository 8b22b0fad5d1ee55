//! The deck's example of what 1x1 reductions save: an Inception module on a 256x28x28 map.

use super::network;
use anyhow::Result;
use strata::arch::Style;
use strata::arch::name::Name;
use strata::arch::node::walk;
use strata::arch::ops::Op;
use strata::arch::rows::{Branch, ClassifierRow, GlobalAvgPoolRow, InceptionRow};
use strata::runs::Table;

/// A module as the deck counts it: height x width x channels out x kernel x kernel x channels in of each convolution, in the
/// order of our branches, and the total, which the deck gives in millions.
struct Deck {
    terms: &'static [[u64; 6]],
    total: &'static str,
}

const NAIVE: Deck =
    Deck { terms: &[[28, 28, 128, 1, 1, 256], [28, 28, 192, 3, 3, 256], [28, 28, 96, 5, 5, 256]], total: "854M" };
const REDUCED: Deck = Deck {
    terms: &[
        [28, 28, 128, 1, 1, 256],
        [28, 28, 64, 1, 1, 256],
        [28, 28, 192, 3, 3, 64],
        [28, 28, 64, 1, 1, 256],
        [28, 28, 96, 5, 5, 64],
        [28, 28, 64, 1, 1, 256],
    ],
    total: "358M",
};

/// Every convolution of the naive and of the reduced module, and their sums; the deck's own figures stand beside them.
pub(crate) fn cost() -> Result<Table> {
    let row = |reduce3, reduce5, pool| InceptionRow {
        b1: 128,
        b3: Branch { reduce: reduce3, width: 192 },
        b5: Branch { reduce: reduce5, width: 96 },
        pool,
        b5_kernel: 5,
        name: Name::default(),
    };
    let naive = module("naive", row(0, 0, 0), &NAIVE)?;
    let reduced = module("reduced", row(64, 64, 64), &REDUCED)?;
    let mut table = Table::new(&["module", "term", "macs", "deck_term", "deck", "note"]);
    table.rows = [naive, reduced].concat();
    Ok(table)
}

/// One line a convolution, and the sum.
fn module(name: &str, row: InceptionRow, deck: &Deck) -> Result<Vec<Vec<String>>> {
    // The rows behind make it a network; they are not counted.
    let rows = vec![row.into(), GlobalAvgPoolRow::default().into(), ClassifierRow::named("fc").into()];
    let network = network(rows, Style::default(), [256, 28, 28], 10)?;
    let mut terms: Vec<(String, u64)> = Vec::new();
    for row in network.rows.iter().take(1) {
        walk(&row.nodes, false, &mut |layer, _| {
            if let Op::Conv(conv) = &layer.op {
                let term = format!("{} {} from {}", layer.op.describe(), conv.width, layer.input.channels());
                terms.push((term, layer.cost().macs));
            }
        });
    }
    let line = |term: &str, macs: u64, deck_term: String, deck: String, note: String| {
        vec![name.to_owned(), term.to_owned(), macs.to_string(), deck_term, deck, note]
    };
    let mut lines = Vec::new();
    for ((term, macs), factors) in terms.iter().zip(deck.terms) {
        let written = factors.map(|factor| factor.to_string()).join("x");
        lines.push(line(term, *macs, written, factors.iter().product::<u64>().to_string(), String::new()));
    }
    let sum = terms.iter().map(|(_, macs)| macs).sum();
    lines.push(line("sum", sum, String::new(), deck.total.to_owned(), remark(deck)));
    Ok(lines)
}

/// What is to be said of a total that is not that of its terms.
fn remark(deck: &Deck) -> String {
    let sum: u64 = deck.terms.iter().map(|factors| factors.iter().product::<u64>()).sum();
    if deck.total == format!("{}M", (sum as f64 / 1e6).round()) {
        return String::new();
    }
    let three = deck.terms.iter().filter(|factors| factors[3] == 3).map(|factors| factors.iter().product::<u64>());
    let twice = sum + three.sum::<u64>();
    format!("slip: the deck's own terms add to {sum}; with its 3x3 term counted twice they give {twice}")
}
