//! Suggestions for misspelt names and for names from other libraries.

/// Names of PyTorch, torchvision, timm, Lightning and Keras, with our key or column.
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    // [train]
    ("accumulate_grad_batches", "train.accumulate"),
    ("accumulation_steps", "train.accumulate"),
    ("adam_beta1", "train.beta1"),
    ("adam_beta2", "train.beta2"),
    ("amp", "train.precision"),
    ("base_lr", "train.lr"),
    ("batch_size", "train.batch"),
    ("batchsize", "train.batch"),
    ("beta_1", "train.beta1"),
    ("beta_2", "train.beta2"),
    ("betas", "train.beta1"),
    ("bias_lr", "train.bias_lr_factor"),
    ("clip_grad", "train.clip_norm"),
    ("clip_grad_norm", "train.clip_norm"),
    ("clipnorm", "train.clip_norm"),
    ("criterion", "train.loss"),
    ("decay_epochs", "train.every"),
    ("decay_milestones", "train.milestones"),
    ("decay_rate", "train.gamma"),
    ("dtype", "train.precision"),
    ("early_stopping", "train.patience"),
    ("early_stopping_patience", "train.patience"),
    ("ema_decay", "train.ema"),
    ("epsilon", "train.eps"),
    ("eta_min", "train.final_lr"),
    ("global_clipnorm", "train.clip_norm"),
    ("grad_accum_steps", "train.accumulate"),
    ("grad_clip", "train.clip_norm"),
    ("gradient_accumulation_steps", "train.accumulate"),
    ("gradient_clip_val", "train.clip_norm"),
    ("initial_lr", "train.lr"),
    ("layer_wise_lr_decay", "train.layer_decay"),
    ("learning_rate", "train.lr"),
    ("llrd", "train.layer_decay"),
    ("log_every_n_steps", "train.log_every"),
    ("log_interval", "train.log_every"),
    ("loss_fn", "train.loss"),
    ("lr_gamma", "train.gamma"),
    ("lr_schedule", "train.schedule"),
    ("lr_scheduler", "train.schedule"),
    ("lr_step_size", "train.every"),
    ("lr_steps", "train.milestones"),
    ("lr_warmup_epochs", "train.warmup"),
    ("max_epochs", "train.epochs"),
    ("max_grad_norm", "train.clip_norm"),
    ("min_lr", "train.final_lr"),
    ("mixed_precision", "train.precision"),
    ("model_ema", "train.ema"),
    ("model_ema_decay", "train.ema"),
    ("n_epochs", "train.epochs"),
    ("norm_weight_decay", "train.decay_all"),
    ("num_epochs", "train.epochs"),
    ("opt", "train.optimizer"),
    ("opt_eps", "train.eps"),
    ("optim", "train.optimizer"),
    ("patience_epochs", "train.patience"),
    ("pct_start", "train.peak_at"),
    ("rho", "train.alpha"),
    ("sam", "train.sam_rho"),
    ("save_every", "train.keep_every"),
    ("save_every_n_epochs", "train.keep_every"),
    ("sched", "train.schedule"),
    ("scheduler", "train.schedule"),
    ("smoothing", "train.label_smoothing"),
    ("step_size", "train.every"),
    ("steps_per_log", "train.log_every"),
    ("train_batch_size", "train.batch"),
    ("warmup_epochs", "train.warmup"),
    ("wd", "train.weight_decay"),
    // [data]
    ("aug_repeats", "data.augment.repeats"),
    ("augmentation", "data.augment"),
    ("autoaugment", "data.augment.auto_augment"),
    ("colorjitter", "data.augment.color_jitter"),
    ("cutmix_alpha", "data.augment.cutmix"),
    ("hflip", "data.augment.flip"),
    ("max_samples", "data.limit"),
    ("mixup_alpha", "data.augment.mixup"),
    ("normalize", "data.normalise"),
    ("randaugment", "data.augment.rand_augment"),
    ("random_crop", "data.augment.crop"),
    ("random_erasing", "data.augment.erasing"),
    ("random_horizontal_flip", "data.augment.flip"),
    ("random_resized_crop", "data.augment.resized_crop"),
    ("subset", "data.limit"),
    ("train_crop_size", "train.size"),
    ("transforms", "data.augment"),
    ("trivialaugment", "data.augment.trivial_augment"),
    ("tta", "data.test_flip"),
    ("val_size", "data.validation"),
    ("val_split", "data.validation"),
    ("validation_split", "data.validation"),
    ("manual_seed", "seed"),
    ("pretrained", "init.from"),
    ("random_seed", "seed"),
    ("random_state", "seed"),
    // [model] and [scaling]
    ("activation", "model.act"),
    ("arch", "model.preset"),
    ("architecture", "model.preset"),
    ("backbone", "model.preset"),
    ("drop_path", "model.stochastic_depth"),
    ("drop_path_rate", "model.stochastic_depth"),
    ("image_size", "model.input"),
    ("img_size", "model.input"),
    ("input_shape", "model.input"),
    ("input_size", "model.input"),
    ("model_name", "model.preset"),
    ("n_classes", "model.classes"),
    ("norm_layer", "model.norm"),
    ("num_classes", "model.classes"),
    ("stochastic_depth_prob", "model.stochastic_depth"),
    ("width_mult", "scaling.width"),
    ("width_multiplier", "scaling.width"),
    // Columns of rows
    ("expand_ratio", "expand"),
    ("filters", "width"),
    ("kernel_size", "kernel"),
    ("num_filters", "width"),
    ("out_channels", "width"),
    ("pool_size", "kernel"),
    ("strides", "stride"),
    ("units", "width"),
    // Columns of results
    ("acc1", "val_top1"),
    ("acc5", "val_top5"),
    ("accuracy", "test_top1"),
    ("flops", "macs"),
    ("num_params", "params"),
    ("test_acc", "test_top1"),
    ("test_accuracy", "test_top1"),
    ("train_acc", "train_top1"),
    ("train_accuracy", "train_top1"),
    ("val_acc", "val_top1"),
    ("val_acc1", "val_top1"),
    ("val_accuracy", "val_top1"),
    ("valid_acc", "val_top1"),
];

/// Our name for what another library calls `found`.
pub(super) fn elsewhere(found: &str) -> Option<&'static str> {
    let found = found.to_lowercase().replace('-', "_");
    ELSEWHERE.iter().find(|(theirs, _)| *theirs == found).map(|&(_, ours)| ours)
}

/// The name in `allowed` that another library calls `found`.
pub(super) fn translated<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let ours = elsewhere(found)?;
    allowed.iter().copied().find(|name| *name == ours || Some(*name) == ours.rsplit('.').next())
}

/// The most likely intended name: by another library's name for it, or the nearest in spelling.
pub fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    if let Some(translated) = translated(found, allowed) {
        return Some(translated);
    }
    let found = found.to_lowercase();
    let (distance, near) = allowed
        .iter()
        .map(|&name| (strsim::damerau_levenshtein(&found, &name.to_lowercase()), name))
        .min_by_key(|&(distance, _)| distance)?;
    if distance <= 1 + near.chars().count() / 3 {
        return Some(near);
    }
    // `learning_rat`: a foreign name, misspelt.
    let close = |(theirs, _): &&(&str, &str)| strsim::damerau_levenshtein(&found, theirs) <= theirs.len() / 6;
    ELSEWHERE.iter().filter(close).find_map(|(theirs, _)| translated(theirs, allowed))
}

#[cfg(test)]
#[test]
fn foreign_names_may_be_misspelt() {
    let keys = ["epochs", "batch", "lr", "momentum", "weight_decay"];
    assert_eq!(
        ["learning_rat", "batchsze", "learning_rate", "wieght_decay"].map(|found| nearest(found, &keys)),
        [Some("lr"), Some("batch"), Some("lr"), Some("weight_decay")]
    );
    assert_eq!([nearest("colour", &keys), nearest("opp", &keys)], [None; 2]);
}
