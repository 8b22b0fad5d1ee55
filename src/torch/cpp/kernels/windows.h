// Which taps of a window lie on the map, and which windows cover a pixel.

#pragma once

#include "kernels.h"

namespace strata {
namespace {

// The taps of a window that lie on the map, along one side.
struct Span {
  int64_t begin, end;
  Span(int64_t start, int64_t kernel, int64_t size)
      : begin(start < 0 ? -start : 0), end(start + kernel > size ? size - start : kernel) {}
};

// The windows that cover an input pixel: output pixel and tap of each.
struct Covers {
  int64_t pixel[256];
  int tap[256];
  int count = 0;

  Covers(const Pool& p, int64_t iy, int64_t ix) {
    for (int64_t ky = 0; ky < p.kernel_h; ++ky) {
      const int64_t y = iy + p.top - ky;
      if (y < 0 || y % p.stride_h || y / p.stride_h >= p.oh) continue;
      for (int64_t kx = 0; kx < p.kernel_w; ++kx) {
        const int64_t x = ix + p.left - kx;
        if (x < 0 || x % p.stride_w || x / p.stride_w >= p.ow) continue;
        pixel[count] = (y / p.stride_h) * p.ow + x / p.stride_w;
        tap[count++] = static_cast<int>(ky * p.kernel_w + kx);
      }
    }
  }
};

}  // namespace
}  // namespace strata
