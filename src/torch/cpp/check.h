// What the fused operations require of their arguments before they touch memory: fused.rs passes on any tensors and numbers.

#pragma once

#include <initializer_list>

#include "base.h"

namespace strata {

void require_defined(const Tensor& x);

// Any tensor on the CPU of a kind that there are kernels for.
void require_numbers(const Tensor& x);

// A map [N, C, H, W] on the CPU of a kind that there are kernels for.
void require_map(const Tensor& x);

// The kind of number that sums and parameters are kept in.
at::ScalarType sums_kind(at::ScalarType activations);

// A parameter [C], or none, of the kind that sums are kept in.
void require_column(const std::optional<Tensor>& column, int64_t channels, at::ScalarType activations, const char* what);

// A weight of a convolution, whatever its sizes.
void require_weight(const Tensor& weight);

constexpr int64_t kLongestSide = INT32_MAX;

// A kernel that moves over one side of a map. Every window reaches the map or the pixel beside it, so that the output is
// no larger than the map and the kernel together.
void require_window(int64_t in, int64_t kernel, int64_t stride, int64_t before, int64_t out);

// Sizes that are multiplied with each other somewhere: the product of them and of the size of a number does not overflow.
void require_product(std::initializer_list<double> sizes);

// A tensor saved for the backward pass, whose data may have been exchanged since (`set_data`).
void require_alike(const Tensor& saved, at::IntArrayRef sizes, at::ScalarType kind);

// There is no second derivative of what is computed outside of libtorch's operations.
void require_first_order();

}  // namespace strata
