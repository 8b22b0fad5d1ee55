// Depthwise convolutions, channels last: a vector of channels at a time.
//
// A value meets only as many taps as the kernel has, so that reads bound the time: the common kernels keep several sums in
// registers and read each value once for all of them.

#include "parts.h"
#include "activations.h"
#include "windows.h"

namespace strata {
namespace {

template <int act, class T>
void depthwise_with(const T* x, const Acc<T>* weight, const Acc<T>* bias, const Pool& p, T* y) {
  using A = Acc<T>;
  for (int64_t oy = 0; oy < p.oh; ++oy)
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      const int64_t top = oy * p.stride_h - p.top, left = ox * p.stride_w - p.left;
      const Span rows(top, p.kernel_h, p.h), cols(left, p.kernel_w, p.w);
      T* out = y + (oy * p.ow + ox) * p.cols;
      over(p.cols, [&](int64_t c, auto n) {
        Vec<A> sum = bias ? load(bias + c, n) : Vec<A>{};
        for (int64_t ky = rows.begin; ky < rows.end; ++ky)
          for (int64_t kx = cols.begin; kx < cols.end; ++kx)
            sum += load(x + ((top + ky) * p.w + left + kx) * p.cols + c, n) *
                   load(weight + (ky * p.kernel_w + kx) * p.cols + c, n);
        store(out + c, Activation<act>::template value<T>(sum), n);
      });
    }
}

// With a K x K kernel of stride S: four pixels of a row at a time, so that a value that several of them meet is read once.
// Four sums, a value and a tap fit into the sixteen registers of AVX2 as well.
template <int act, int K, int S, class T>
void depthwise_of(const T* x, const Acc<T>* weight, const Acc<T>* bias, const Pool& p, T* y) {
  using A = Acc<T>;
  constexpr int kStrip = 4, kReach = (kStrip - 1) * S + K;
  for (int64_t oy = 0; oy < p.oh; ++oy) {
    const int64_t top = oy * S - p.top;
    const Span rows(top, K, p.h);
    // What the next row of outputs adds, or the next image.
    fetch(x, (top + K) * p.w * p.cols, S * p.w * p.cols);
    for (int64_t ox = 0; ox < p.ow; ox += kStrip) {
      const int64_t left = ox * S - p.left, count = p.ow - ox < kStrip ? p.ow - ox : kStrip;
      T* out = y + (oy * p.ow + ox) * p.cols;
      over(p.cols, [&](int64_t c, auto n) {
        Vec<A> sums[kStrip];
#pragma GCC unroll 4
        for (int i = 0; i < kStrip; ++i) sums[i] = bias ? load(bias + c, n) : Vec<A>{};
        for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
          const T* row = x + (top + ky) * p.w * p.cols + c;
          const A* taps = weight + ky * K * p.cols + c;
#pragma GCC unroll 16
          for (int at = 0; at < kReach; ++at) {
            const int64_t ix = left + at;
            if (ix < 0 || ix >= p.w) continue;
            const Vec<A> v = load(row + ix * p.cols, n);
#pragma GCC unroll 4
            for (int i = 0; i < kStrip; ++i) {
              const int kx = at - i * S;
              if (kx >= 0 && kx < K) sums[i] += v * load(taps + kx * p.cols, n);
            }
          }
        }
        // Constant indices: with others the sums would live in memory.
#pragma GCC unroll 4
        for (int i = 0; i < kStrip; ++i)
          if (i < count) store(out + i * p.cols + c, Activation<act>::template value<T>(sums[i]), n);
      });
    }
  }
}

// y[oh, ow, cols] of one image; `weight` is [taps, cols].
template <class T>
void depthwise(const T* x, const Acc<T>* weight, const Acc<T>* bias, int act, const Pool& p, T* y) {
  with_act(act, [&](auto constant) {
    constexpr int kind = constant.value;
    const bool square = p.kernel_h == p.kernel_w && p.stride_h == p.stride_w && p.ow > 1;
    const int64_t kernel = square ? p.kernel_h : 0, stride = p.stride_h;
    if (kernel == 3 && stride == 1) return depthwise_of<kind, 3, 1>(x, weight, bias, p, y);
    if (kernel == 3 && stride == 2) return depthwise_of<kind, 3, 2>(x, weight, bias, p, y);
    if (kernel == 5 && stride == 1) return depthwise_of<kind, 5, 1>(x, weight, bias, p, y);
    if (kernel == 5 && stride == 2) return depthwise_of<kind, 5, 2>(x, weight, bias, p, y);
    depthwise_with<kind>(x, weight, bias, p, y);
  });
}

// Gathers for every input pixel what the windows over it contribute, rather than scattering: each output is written once, and
// the order of the sum does not depend on the stride.
template <class T>
void depthwise_input(const T* dy, const Acc<T>* weight, const Pool& p, T* dx) {
  using A = Acc<T>;
  for (int64_t iy = 0; iy < p.h; ++iy)
    for (int64_t ix = 0; ix < p.w; ++ix) {
      const Covers covers(p, iy, ix);
      over(p.cols, [&](int64_t c, auto n) {
        Vec<A> sum = {};
        for (int i = 0; i < covers.count; ++i)
          sum += load(dy + covers.pixel[i] * p.cols + c, n) * load(weight + covers.tap[i] * p.cols + c, n);
        store(dx + (iy * p.w + ix) * p.cols + c, sum, n);
      });
    }
}

// From rows `begin` to `end` of the output and the channels from c on. The sums of the taps of a K x K kernel stay in registers (25 of
// the 32 of AVX-512 for K = 5) while a pixel's gradient meets each of them: in memory, every product would be a read and a write more.
template <int K, class T, class N>
void depthwise_weight_band(const T* x, const T* dy, const Pool& p, int64_t begin, int64_t end, int64_t c, N n, Acc<T>* gradient) {
  using A = Acc<T>;
  Vec<A> sums[K * K];
  for (int tap = 0; tap < K * K; ++tap) sums[tap] = load(gradient + tap * p.cols + c, n);
  for (int64_t oy = begin; oy < end; ++oy)
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      const Vec<A> g = load(dy + (oy * p.ow + ox) * p.cols + c, n);
      const int64_t top = oy * p.stride_h - p.top, left = ox * p.stride_w - p.left;
#pragma GCC unroll 8
      for (int ky = 0; ky < K; ++ky) {
        const int64_t iy = top + ky;
        if (iy < 0 || iy >= p.h) continue;
#pragma GCC unroll 8
        for (int kx = 0; kx < K; ++kx) {
          const int64_t ix = left + kx;
          if (ix < 0 || ix >= p.w) continue;
          sums[ky * K + kx] += g * load(x + (iy * p.w + ix) * p.cols + c, n);
        }
      }
    }
  for (int tap = 0; tap < K * K; ++tap) store(gradient + tap * p.cols + c, sums[tap], n);
}

// In bands of rows: while one is worked on, channels being the outer loop, the next one is prefetched in the order of memory.
template <int K, class T>
void depthwise_weight_of(const T* x, const T* dy, const Pool& p, Acc<T>* gradient) {
  const int64_t rows = p.ow < 32 ? 32 / p.ow : 1, in_row = p.w * p.cols, out_row = p.ow * p.cols;
  for (int64_t oy = 0; oy < p.oh; oy += rows) {
    const int64_t end = oy + rows < p.oh ? oy + rows : p.oh, next = end * p.stride_h - p.top;
    fetch(x, (next + K - p.stride_h) * in_row, rows * p.stride_h * in_row);
    fetch(dy, end * out_row, rows * out_row);
    over(p.cols, [&](int64_t c, auto n) { depthwise_weight_band<K>(x, dy, p, oy, end, c, n, gradient); });
  }
}

// Adds the gradient of one image to `gradient` [taps, cols], and that of the bias to `bias` where it is not null.
template <class T>
void depthwise_weight(const T* x, const T* dy, const Pool& p, Acc<T>* gradient, Acc<T>* bias) {
  using A = Acc<T>;
  const int64_t kernel = p.kernel_h == p.kernel_w ? p.kernel_h : 0;
  if (kernel == 3) depthwise_weight_of<3>(x, dy, p, gradient);
  if (kernel == 5) depthwise_weight_of<5>(x, dy, p, gradient);
  over(p.cols, [&](int64_t c, auto n) {
    if (kernel != 3 && kernel != 5) {
      for (int64_t ky = 0; ky < p.kernel_h; ++ky)
        for (int64_t kx = 0; kx < p.kernel_w; ++kx) {
          A* to = gradient + (ky * p.kernel_w + kx) * p.cols + c;
          Vec<A> sum = load(to, n);
          for (int64_t oy = 0; oy < p.oh; ++oy)
            for (int64_t ox = 0; ox < p.ow; ++ox) {
              const int64_t iy = oy * p.stride_h + ky - p.top, ix = ox * p.stride_w + kx - p.left;
              if (iy < 0 || iy >= p.h || ix < 0 || ix >= p.w) continue;
              sum += load(dy + (oy * p.ow + ox) * p.cols + c, n) * load(x + (iy * p.w + ix) * p.cols + c, n);
            }
          store(to, sum, n);
        }
    }
    if (!bias) return;
    Vec<A> sum = load(bias + c, n);
    for (int64_t pixel = 0; pixel < p.oh * p.ow; ++pixel) sum += load(dy + pixel * p.cols + c, n);
    store(bias + c, sum, n);
  });
}

}  // namespace

template <class T>
void STRATA_ISA::depthwise_kernels(Kernels<T>& table) {
  table.depthwise = depthwise<T>;
  table.depthwise_input = depthwise_input<T>;
  table.depthwise_weight = depthwise_weight<T>;
}
STRATA_INSTANTIATE(depthwise_kernels)

}  // namespace strata
