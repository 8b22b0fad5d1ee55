// What operations demand of their arguments before they touch memory: the functions of fused.rs may be called with any
// tensors and any numbers. Included by shim_fused.h alone.

#pragma once

#include <cstdint>
#include <initializer_list>

#include "shim.h"

namespace {

// Whether the elements lie in this process's memory as they are: no other layout or device, no pending change of sign.
bool readable(const Tensor& x) { return x.layout() == at::kStrided && x.is_cpu() && !x.is_neg() && !x.is_conj(); }

void require_defined(const Tensor& x) { TORCH_CHECK(x.defined(), "a tensor is undefined"); }

void require_map(const Tensor& x) {
  require_defined(x);
  const auto kind = x.scalar_type();
  TORCH_CHECK(readable(x) && x.dim() == 4 && x.numel() > 0, "a map [N, C, H, W] on the CPU is needed, not ", x.sizes());
  TORCH_CHECK(kind == at::kBFloat16 || kind == at::kFloat || kind == at::kDouble, "no fused operation for ", kind);
}

// The kind of number that sums and parameters are kept in.
at::ScalarType sums_kind(at::ScalarType activations) { return activations == at::kDouble ? at::kDouble : at::kFloat; }

// A parameter [C], or none, of the kind that sums are kept in.
void require_column(const std::optional<Tensor>& column, int64_t channels, at::ScalarType activations, const char* what) {
  if (!column) return;
  require_defined(*column);
  const auto kind = sums_kind(activations);
  TORCH_CHECK(readable(*column) && column->scalar_type() == kind && column->dim() == 1 && column->numel() == channels &&
                  column->is_contiguous(),
              what, " is ", column->sizes(), " of ", column->scalar_type(), ", not ", channels, " of ", kind);
}

// A weight of a convolution, whatever its sizes.
void require_weight(const Tensor& weight) {
  require_defined(weight);
  TORCH_CHECK(readable(weight) && weight.dim() == 4 && weight.numel() > 0,
              "a weight [K, C, h, w] on the CPU is needed, not ", weight.sizes());
}

constexpr int64_t kMostOfASide = INT32_MAX;

// A kernel that moves over one side of a map. Every window reaches the map or the pixel beside it, so that the output is
// no larger than the map and the kernel together.
void require_window(int64_t in, int64_t kernel, int64_t stride, int64_t before, int64_t out) {
  const auto within = [](int64_t number, int64_t least) { return number >= least && number <= kMostOfASide; };
  TORCH_CHECK(within(in, 1) && within(kernel, 1) && within(stride, 1) && within(before, 0) && within(out, 1) &&
                  before <= kernel && (out - 1) * stride - before <= in,
              "a kernel of ", kernel, " with stride ", stride, ", padding ", before, " and ", out,
              " outputs does not move over a side of ", in);
}

// Sizes that are multiplied with each other somewhere: their product times that of a number's bytes is no overflow.
void require_product(std::initializer_list<double> sizes) {
  double product = 1;
  for (const double size : sizes) product *= size;
  TORCH_CHECK(product < 1e18, "the operation is too large");
}

// A tensor saved for the backward pass may have been given other data (`set_data`) since.
void require_alike(const Tensor& saved, at::IntArrayRef sizes, at::ScalarType kind) {
  TORCH_CHECK(readable(saved) && saved.sizes() == sizes && saved.scalar_type() == kind,
              "a tensor needed for the gradient was replaced: it is ", saved.sizes(), " of ", saved.scalar_type(), ", not ",
              sizes, " of ", kind);
}

// There is no second derivative of what is computed outside of libtorch's operations.
void require_first_order() {
  TORCH_CHECK(!at::GradMode::is_enabled(), "fused operations have no second derivative; train.rewrites = false has");
}

}  // namespace
