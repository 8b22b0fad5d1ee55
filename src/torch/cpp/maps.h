// Tensors as the kernels see them: typed memory, maps as matrices of pixels by channels.

#pragma once

#include <algorithm>
#include <stdexcept>
#include <type_traits>

#include "base.h"
#include "kernels/kernels.h"

namespace strata {

template <class T>
constexpr at::ScalarType kKind = std::is_same_v<T, bf16> ? at::kBFloat16 : std::is_same_v<T, float> ? at::kFloat : at::kDouble;

[[noreturn]] void throw_no_kernel(at::ScalarType kind);

// Calls f with a zero of the C++ type of `kind`.
template <class F>
auto with_type(at::ScalarType kind, F&& f) {
  switch (kind) {
    case at::kBFloat16: return f(bf16{});
    case at::kFloat: return f(float{});
    case at::kDouble: return f(double{});
    default: throw_no_kernel(kind);
  }
}

template <class T>
const T* data(const Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}
template <class T>
T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}
template <class T>
const T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? data<T>(tensor) : nullptr;
}
template <class T>
const T* data_or_null(const std::optional<Tensor>& tensor) {
  return tensor ? data<T>(*tensor) : nullptr;
}

// A dense tensor on the CPU, not initialised.
Tensor new_tensor(at::IntArrayRef sizes, at::ScalarType kind);

// A dense tensor of the sizes and kind of another, in its order where that is dense; not initialised.
Tensor new_like(const Tensor& other);

// Memory of libtorch's allocator, at least one number.
template <class T>
struct Buffer {
  Tensor tensor;
  T* data;
  Buffer() : data(nullptr) {}
  explicit Buffer(const Tensor& tensor) : tensor(tensor), data(mutable_data<T>(tensor)) {}
  explicit Buffer(int64_t size) : Buffer(new_tensor({std::max<int64_t>(size, 1)}, kKind<T>)) {}
};

// A map [N, C, H, W] with its channels side by side in memory; rows are pixels, `ld` apart.
struct Pixels {
  Tensor tensor;
  int64_t images, channels, height, width, ld;
  int64_t rows() const { return images * height * width; }
};

// Sees a tensor as rows of channels, copying it only where its memory is not laid out like that. A slice of the channels of
// such a map needs no copy either.
Pixels pixels(const Tensor& tensor);

// As `pixels`, without gaps between pixels.
Pixels dense_pixels(const Tensor& tensor);

// A map [n, c, h, w] on the CPU, channels last, not initialised.
Tensor new_map(int64_t n, int64_t c, int64_t h, int64_t w, at::ScalarType kind);

// The kind of number that activations have: under autocast bfloat16, else that of `x`.
at::ScalarType activation_kind(const Tensor& x);

}  // namespace strata
