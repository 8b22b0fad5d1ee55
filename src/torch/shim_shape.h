// The sizes of a convolution, and the pairs of pixels that its kernel joins. Included by shim_conv.h alone.

#pragma once

#include "shim_packed.h"

namespace {

struct Window {
  int64_t stride_h, stride_w, top, left, out_h, out_w;
};

struct Pair {
  int64_t out, in, tap;
};

struct Shape {
  int64_t images, height, width, in, out, kernel_h, kernel_w;
  Window window;
  bool dense;  // one tap and every pixel stays where it is

  int64_t in_pixels() const { return dense ? 1 : height * width; }
  int64_t out_pixels() const { return dense ? 1 : window.out_h * window.out_w; }
  int64_t batch() const { return dense ? images * height * width : images; }
  int64_t taps() const { return kernel_h * kernel_w; }
  // All that the pairs depend on, beside the kernel.
  Geometry geometry() const {
    const Window& w = window;
    return {height, width, w.stride_h, w.stride_w, w.top, w.left, w.out_h, w.out_w, dense};
  }

  std::vector<Pair> pairs() const {
    std::vector<Pair> list;
    if (dense) {
      // The tap that meets the pixel itself: others of the kernel only meet padding.
      list.push_back({0, 0, window.top * kernel_w + window.left});
      return list;
    }
    for (int64_t oy = 0; oy < window.out_h; ++oy)
      for (int64_t ox = 0; ox < window.out_w; ++ox)
        for (int64_t ky = 0; ky < kernel_h; ++ky)
          for (int64_t kx = 0; kx < kernel_w; ++kx) {
            const int64_t iy = oy * window.stride_h + ky - window.top, ix = ox * window.stride_w + kx - window.left;
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            list.push_back({oy * window.out_w + ox, iy * width + ix, ky * kernel_w + kx});
          }
    return list;
  }
};

// Pairs sorted by what they add to.
std::vector<std::vector<Pair>> grouped(const std::vector<Pair>& pairs, int64_t groups, int64_t Pair::* by) {
  std::vector<std::vector<Pair>> lists(groups);
  for (const Pair& pair : pairs) lists[pair.*by].push_back(pair);
  return lists;
}

}  // namespace
