// Convolutions of every channel by itself, channels last: sixteen channels at a time.

#pragma once

#include "vectors.h"

namespace strata {
namespace {

// y[oh, ow, cols] of one image; `weight` is [taps, cols].
template <class T>
void depthwise(const T* x, const Acc<T>* weight, const Acc<T>* bias, const Pool& p, T* y) {
  using A = Acc<T>;
  for (int64_t oy = 0; oy < p.oh; ++oy)
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      const int64_t top = oy * p.stride_h - p.top, left = ox * p.stride_w - p.left;
      const Span rows(top, p.kernel_h, p.h), cols(left, p.kernel_w, p.w);
      T* out = y + (oy * p.ow + ox) * p.cols;
      for (int64_t c = 0; c < p.cols; c += kLanes) {
        const int64_t n = p.cols - c < kLanes ? p.cols - c : kLanes;
        Vec<A> sum = bias ? load(bias + c, n) : Vec<A>{};
        for (int64_t ky = rows.begin; ky < rows.end; ++ky)
          for (int64_t kx = cols.begin; kx < cols.end; ++kx)
            sum += load(x + ((top + ky) * p.w + left + kx) * p.cols + c, n) *
                   load(weight + (ky * p.kernel_w + kx) * p.cols + c, n);
        store(out + c, sum, n);
      }
    }
}

template <class T>
void depthwise_input(const T* dy, const Acc<T>* weight, const Pool& p, T* dx) {
  using A = Acc<T>;
  for (int64_t iy = 0; iy < p.h; ++iy)
    for (int64_t ix = 0; ix < p.w; ++ix)
      for (int64_t c = 0; c < p.cols; c += kLanes) {
        const int64_t n = p.cols - c < kLanes ? p.cols - c : kLanes;
        Vec<A> sum = {};
        for (int64_t ky = 0; ky < p.kernel_h; ++ky) {
          const int64_t y = iy + p.top - ky;
          if (y < 0 || y % p.stride_h || y / p.stride_h >= p.oh) continue;
          for (int64_t kx = 0; kx < p.kernel_w; ++kx) {
            const int64_t x = ix + p.left - kx;
            if (x < 0 || x % p.stride_w || x / p.stride_w >= p.ow) continue;
            sum += load(dy + ((y / p.stride_h) * p.ow + x / p.stride_w) * p.cols + c, n) *
                   load(weight + (ky * p.kernel_w + kx) * p.cols + c, n);
          }
        }
        store(dx + (iy * p.w + ix) * p.cols + c, sum, n);
      }
}

// Adds the gradient of one image to `gradient` [taps, cols], and that of the bias to `bias` where it is not null.
template <class T>
void depthwise_weight(const T* x, const T* dy, const Pool& p, Acc<T>* gradient, Acc<T>* bias) {
  using A = Acc<T>;
  for (int64_t c = 0; c < p.cols; c += kLanes) {
    const int64_t n = p.cols - c < kLanes ? p.cols - c : kLanes;
    for (int64_t ky = 0; ky < p.kernel_h; ++ky)
      for (int64_t kx = 0; kx < p.kernel_w; ++kx) {
        A* to = gradient + (ky * p.kernel_w + kx) * p.cols + c;
        Vec<A> sum = load(to, n);
        for (int64_t oy = 0; oy < p.oh; ++oy) {
          const int64_t iy = oy * p.stride_h + ky - p.top;
          if (iy < 0 || iy >= p.h) continue;
          for (int64_t ox = 0; ox < p.ow; ++ox) {
            const int64_t ix = ox * p.stride_w + kx - p.left;
            if (ix < 0 || ix >= p.w) continue;
            sum += load(dy + (oy * p.ow + ox) * p.cols + c, n) * load(x + (iy * p.w + ix) * p.cols + c, n);
          }
        }
        store(to, sum, n);
      }
    if (!bias) continue;
    Vec<A> sum = load(bias + c, n);
    for (int64_t pixel = 0; pixel < p.oh * p.ow; ++pixel) sum += load(dy + pixel * p.cols + c, n);
    store(bias + c, sum, n);
  }
}

}  // namespace
}  // namespace strata
