#include "check.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

namespace strata {

// Whether the elements lie in this process's memory as they are: dense or strided, with no negation or conjugation pending.
static bool readable(const Tensor& x) {
  return x.layout() == at::kStrided && x.is_cpu() && !x.is_neg() && !x.is_conj();
}

void require_defined(const Tensor& x) { TORCH_CHECK(x.defined(), "a tensor is undefined"); }

void require_numbers(const Tensor& x) {
  require_defined(x);
  const auto kind = x.scalar_type();
  TORCH_CHECK(readable(x), "a tensor on the CPU is needed, not ", x.sizes());
  TORCH_CHECK(kind == at::kBFloat16 || kind == at::kFloat || kind == at::kDouble, "no fused operation for ", kind);
}

void require_map(const Tensor& x) {
  require_defined(x);
  TORCH_CHECK(readable(x) && x.dim() == 4 && x.numel() > 0, "a map [N, C, H, W] on the CPU is needed, not ", x.sizes());
  require_numbers(x);
}

at::ScalarType sums_kind(at::ScalarType activations) { return activations == at::kDouble ? at::kDouble : at::kFloat; }

void require_column(const std::optional<Tensor>& column, int64_t channels, at::ScalarType activations, const char* what) {
  if (!column) return;
  require_defined(*column);
  const auto kind = sums_kind(activations);
  TORCH_CHECK(readable(*column) && column->scalar_type() == kind && column->dim() == 1 && column->numel() == channels &&
                  column->is_contiguous(),
              what, " is ", column->sizes(), " of ", column->scalar_type(), ", not ", channels, " of ", kind);
}

void require_weight(const Tensor& weight) {
  require_defined(weight);
  TORCH_CHECK(readable(weight) && weight.dim() == 4 && weight.numel() > 0,
              "a weight [K, C, h, w] on the CPU is needed, not ", weight.sizes());
}

void require_window(int64_t in, int64_t kernel, int64_t stride, int64_t before, int64_t out) {
  const auto within = [](int64_t number, int64_t least) { return number >= least && number <= kLongestSide; };
  TORCH_CHECK(within(in, 1) && within(kernel, 1) && within(stride, 1) && within(before, 0) && within(out, 1) &&
                  before <= kernel && (out - 1) * stride - before <= in,
              "a kernel of ", kernel, " with stride ", stride, ", padding ", before, " and ", out,
              " outputs does not move over a side of ", in);
}

void require_product(std::initializer_list<double> sizes) {
  double product = 1;
  for (const double size : sizes) product *= size;
  TORCH_CHECK(product < 1e18, "the operation is too large");
}

void require_alike(const Tensor& saved, at::IntArrayRef sizes, at::ScalarType kind) {
  TORCH_CHECK(readable(saved) && saved.sizes() == sizes && saved.scalar_type() == kind,
              "a tensor needed for the gradient was replaced: it is ", saved.sizes(), " of ", saved.scalar_type(), ", not ",
              sizes, " of ", kind);
}

void require_first_order() {
  TORCH_CHECK(!at::GradMode::is_enabled(), "fused operations have no second derivative; train.rewrites = false has");
}

}  // namespace strata
