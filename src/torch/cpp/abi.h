// The structs that cross the border to Rust. ffi.rs mirrors each, and its test holds the same sizes and offsets.
//
// Conventions of the C interface, relied on by ffi.rs:
// - A function that can fail returns null on success and otherwise an error text, released with strata_free_text. An
//   exception that crossed `extern "C"` would abort the program.
// - A tensor is a borrowed `at::Tensor*`, a list of tensors an array of them. A tensor that is handed out belongs to the caller.
// - A device is numbered as in torch-sys: -1 cpu, -2 mps, -3 vulkan, n >= 0 cuda:n.

#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}

// How a kernel moves over a map; padding below and to the right follows from the output.
struct StrataWindow {
  int64_t stride_h, stride_w, top, left, out_h, out_w;
};
static_assert(sizeof(StrataWindow) == 48 && offsetof(StrataWindow, top) == 16 && offsetof(StrataWindow, out_h) == 32);

// The ranks of a run, behind a pointer only.
struct StrataGroup;

// Batch normalisation beside its input; each tensor [C] or null. With a group, batches are those of all its ranks.
struct StrataNorm {
  const at::Tensor *gamma, *beta, *mean, *var;
  double momentum, eps;
  StrataGroup* group;
};
static_assert(sizeof(StrataNorm) == 56 && offsetof(StrataNorm, mean) == 16 && offsetof(StrataNorm, group) == 48);

// Numbers of an optimizer step; each kind reads its own. `step` counts from 1.
struct StrataStep {
  double lr, weight_decay, momentum, beta1, beta2, alpha, eps;
  int64_t step;
  int32_t nesterov, first, adapt;
};
static_assert(sizeof(StrataStep) == 80 && offsetof(StrataStep, step) == 56 && offsetof(StrataStep, adapt) == 72);

struct StrataAutocast {
  int32_t enabled, dtype, cache;
};
static_assert(sizeof(StrataAutocast) == 12 && offsetof(StrataAutocast, cache) == 8);
