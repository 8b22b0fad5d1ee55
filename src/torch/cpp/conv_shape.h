// The sizes of a convolution, and the pairs of pixels that its kernel joins.

#pragma once

#include <utility>
#include <vector>

#include "weights.h"

namespace strata {

// A tap of the kernel that joins an output pixel and an input pixel.
struct Pair {
  int64_t out, in, tap;
};

struct Shape {
  int64_t images, height, width, in, out, kernel_h, kernel_w;
  StrataWindow window;
  bool dense;      // one tap, and every pixel stays where it is: a matrix product over all pixels of the batch
  int64_t groups;  // that inputs and outputs are divided into

  int64_t in_pixels() const { return dense ? 1 : height * width; }
  int64_t out_pixels() const { return dense ? 1 : window.out_h * window.out_w; }
  int64_t batch() const { return dense ? images * height * width : images; }
  int64_t taps() const { return kernel_h * kernel_w; }
  // The convolution from outputs to inputs, where one of stride 1 keeps the map's size.
  Shape turned() const {
    Shape other = *this;
    std::swap(other.in, other.out);
    return other;
  }
  // All that the pairs depend on, beside the kernel.
  Geometry geometry() const;
  std::vector<Pair> pairs() const;
};

// The shape of a convolution of `x`, checked.
Shape shape_of(const Pixels& x, const Tensor& weight, const StrataWindow& window);

// Pairs sorted by what they add to.
std::vector<std::vector<Pair>> grouped(const std::vector<Pair>& pairs, int64_t groups, int64_t Pair::* by);

}  // namespace strata
