#include "maps.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>

namespace strata {

void throw_no_kernel(at::ScalarType kind) {
  throw std::invalid_argument(std::string("no fused operation for ") + at::toString(kind));
}

Tensor new_tensor(at::IntArrayRef sizes, at::ScalarType kind) {
  return at::empty(sizes, at::TensorOptions().dtype(kind));
}

Tensor new_like(const Tensor& other) { return at::empty_like(other); }

Pixels pixels(const Tensor& tensor) {
  const auto n = tensor.size(0), c = tensor.size(1);
  const bool map = tensor.dim() == 4;
  const auto h = map ? tensor.size(2) : 1, w = map ? tensor.size(3) : 1;
  // The distance of pixels, from the innermost axis that is longer than 1; 0 where they are not equally far apart.
  const int64_t ld = w > 1 ? tensor.stride(3) : h > 1 ? tensor.stride(2) : n > 1 ? tensor.stride(0) : c;
  const bool rows = (c == 1 || tensor.stride(1) == 1) && ld >= c && (w == 1 || tensor.stride(3) == ld) &&
                    (h == 1 || tensor.stride(2) == ld * w) && (n == 1 || tensor.stride(0) == ld * w * h);
  if (rows) return {tensor, n, c, h, w, ld};
  if (!map) return {tensor.contiguous(), n, c, h, w, c};
  const Tensor copy = at::empty_strided({n, c, h, w}, {h * w * c, 1, w * c, c}, tensor.options());
  copy.copy_(tensor);
  return {copy, n, c, h, w, c};
}

Pixels dense_pixels(const Tensor& tensor) {
  const Pixels seen = pixels(tensor);
  if (seen.ld == seen.channels) return seen;
  const Tensor copy = at::empty_strided({seen.images, seen.channels, seen.height, seen.width},
                                        {seen.height * seen.width * seen.channels, 1, seen.width * seen.channels, seen.channels},
                                        tensor.options());
  copy.copy_(tensor.dim() == 4 ? tensor : tensor.unsqueeze(-1).unsqueeze(-1));
  return {copy, seen.images, seen.channels, seen.height, seen.width, seen.channels};
}

Tensor new_map(int64_t n, int64_t c, int64_t h, int64_t w, at::ScalarType kind) {
  return at::empty_strided({n, c, h, w}, {h * w * c, 1, w * c, c}, at::TensorOptions().dtype(kind));
}

}  // namespace strata
