//! Small experiments that between them use everything that has a state: each must come back to the bit.

/// Name, and what is in it, for the table.
pub(super) struct Recipe {
    pub name: &'static str,
    pub holds: &'static str,
    rows: &'static str,
    data: &'static str,
    model: &'static str,
    train: &'static str,
}

const PLAIN: &str = r#"{ op = "conv", kernel = 3, width = 8 }, { op = "basic", width = 8, repeat = 2 },"#;
const DROPOUT: &str = r#"{ op = "conv", kernel = 3, width = 8 }, { op = "basic", width = 8, repeat = 2, dropout = 0.2 },
  { op = "dropout", rate = 0.3 },"#;
const AUX: &str = r#"{ op = "conv", kernel = 3, width = 8 }, { op = "aux", pool = "adaptive", width = 8, hidden = 16 },
  { op = "conv", kernel = 3, width = 8 },"#;

pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "sgd",
        holds: "SGD, Nesterov momentum, steps",
        rows: PLAIN,
        data: "",
        model: "",
        train: "lr = 0.05\nmomentum = 0.9\nnesterov = true\nweight_decay = 1e-3\nschedule = \"step\"\nmilestones = [2, 3]",
    },
    Recipe {
        name: "adam",
        holds: "Adam, one cycle",
        rows: PLAIN,
        data: "",
        model: "",
        train: "optimizer = \"adam\"\nlr = 3e-3\nschedule = \"one_cycle\"",
    },
    Recipe {
        name: "adamw-ema",
        holds: "AdamW, averaged weights, cosine with warm-up, smoothing",
        rows: PLAIN,
        data: "",
        model: "",
        train: "optimizer = \"adamw\"\nlr = 3e-3\nema = 0.9\nschedule = \"cosine\"\nwarmup = 1.5\nlabel_smoothing = 0.1",
    },
    Recipe {
        name: "rmsprop",
        holds: "RMSprop, averaged weights, exponential",
        rows: PLAIN,
        data: "",
        model: "",
        train: "optimizer = \"rmsprop\"\nlr = 1e-3\nema = 0.95\nschedule = \"exponential\"",
    },
    Recipe {
        name: "lamb",
        holds: "LAMB in two parts, layer-wise decay",
        rows: PLAIN,
        data: "",
        model: "",
        train: "optimizer = \"lamb\"\nlr = 0.02\nweight_decay = 0.01\naccumulate = 2\nlayer_decay = 0.8",
    },
    Recipe {
        name: "lion",
        holds: "Lion, sharpness-aware, rate of biases",
        rows: DROPOUT,
        data: "",
        model: "",
        train: "optimizer = \"lion\"\nlr = 1e-3\nsam_rho = 0.05\nbias_lr_factor = 2",
    },
    Recipe { name: "muon", holds: "Muon and AdamW", rows: PLAIN, data: "", model: "", train: "optimizer = \"muon\"" },
    Recipe { name: "dropout", holds: "SGD, dropout", rows: DROPOUT, data: "", model: "", train: "lr = 0.05" },
    Recipe {
        name: "stochastic-depth",
        holds: "SGD, stochastic depth",
        rows: PLAIN,
        data: "",
        model: "stochastic_depth = { survival = 0.5 }",
        train: "lr = 0.05",
    },
    Recipe {
        name: "augmentation",
        holds: "SGD, crops and flips",
        rows: PLAIN,
        data: "augment = { crop = 2, flip = true }",
        model: "",
        train: "lr = 0.05",
    },
    Recipe {
        name: "aux",
        holds: "AdamW, auxiliary head, clipping, crops",
        rows: AUX,
        data: "augment = { crop = 1 }",
        model: "",
        train: "optimizer = \"adamw\"\nlr = 3e-3\nclip_norm = 1.0\nweight_decay = 0.05",
    },
];

impl Recipe {
    pub(super) fn named(name: &str) -> &'static Recipe {
        RECIPES.iter().find(|recipe| recipe.name == name).expect("a recipe of the table")
    }

    /// The experiment of so many epochs.
    pub(super) fn experiment(&self, epochs: usize) -> String {
        let Recipe { rows, data, model, train, .. } = self;
        format!(
            r#"
[data]
dataset = "synthetic"
validation = 100
limit = 192
{data}

[model]
input = [1, 12, 12]
{model}
rows = [ {rows}
  {{ op = "global_avg_pool" }}, {{ op = "classifier" }},
]

[train]
epochs = {epochs}
batch = 16
{train}
"#
        )
    }
}
