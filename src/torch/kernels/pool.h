// Maximum over windows, channels last, remembering which tap it was in a byte (libtorch keeps an int64).

#pragma once

#include "vectors.h"

namespace strata {
namespace {

typedef uint8_t U8 __attribute__((vector_size(16)));

template <class A>
using Mask = decltype(Vec<A>{} > Vec<A>{});

template <class T>
void max_pool(const T* x, const Pool& p, T* y, uint8_t* tap) {
  using A = Acc<T>;
  for (int64_t oy = 0; oy < p.oh; ++oy)
    for (int64_t ox = 0; ox < p.ow; ++ox)
      for (int64_t c = 0; c < p.cols; c += kLanes) {
        const int64_t n = p.cols - c < kLanes ? p.cols - c : kLanes;
        Vec<A> best = Vec<A>{} - static_cast<A>(INFINITY);
        Mask<A> where = {};
        bool first = true;
        for (int64_t ky = 0; ky < p.kernel_h; ++ky) {
          const int64_t iy = oy * p.stride_h + ky - p.top;
          if (iy < 0 || iy >= p.h) continue;
          for (int64_t kx = 0; kx < p.kernel_w; ++kx) {
            const int64_t ix = ox * p.stride_w + kx - p.left;
            if (ix < 0 || ix >= p.w) continue;
            const Vec<A> v = load(x + (iy * p.w + ix) * p.cols + c, n);
            const Mask<A> index = Mask<A>{} + static_cast<int>(ky * p.kernel_w + kx);
            // A NaN is the largest, as in libtorch; the first tap stands for all if they are minus infinity.
            const Mask<A> more = (v > best) | (v != v);
            best = first ? v : choose<A>(more, v, best);
            where = first ? index : (more ? index : where);
            first = false;
          }
        }
        const int64_t at = (oy * p.ow + ox) * p.cols + c;
        store(y + at, best, n);
        const U8 bytes = __builtin_convertvector(where, U8);
        std::memcpy(tap + at, &bytes, n);
      }
}

template <class T>
void max_pool_backward(const T* dy, const uint8_t* tap, const Pool& p, T* dx) {
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
            const int64_t at = ((y / p.stride_h) * p.ow + x / p.stride_w) * p.cols + c;
            U8 bytes = {};
            std::memcpy(&bytes, tap + at, n);
            const Mask<A> where = __builtin_convertvector(bytes, Mask<A>);
            const Mask<A> mine = where == static_cast<int>(ky * p.kernel_w + kx);
            sum += choose<A>(mine, load(dy + at, n), Vec<A>{});
          }
        }
        store(dx + (iy * p.w + ix) * p.cols + c, sum, n);
      }
}

}  // namespace
}  // namespace strata
