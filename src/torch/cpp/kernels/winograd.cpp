// Convolutions of stride 1 by Winograd's algorithm (Lavin and Gray 2015, arXiv 1509.09308, section 4). F(2x2, 3x3) computes
// four outputs from sixteen products, where the definition takes 36; F(4x4, 3x3) computes sixteen from 36 instead of 144, and
// F(2x2, 5x5) four from 36 instead of 100; these two round coarser. A tile is the values under its outputs: 4x4 or 6x6.
// Neighbouring tiles overlap by two or four rows or columns, one less than the kernel has.

#include "parts.h"
#include "activations.h"
#include "winograd_transforms.h"

namespace strata {
namespace {

// Writes B^T · d · B of tile i, channels from c on, to to(i, c), rows and columns `down` and `right` apart. Channels are the
// outer loop, so that neighbouring tiles hand on the columns that they share in registers.
template <class W, class T, class To>
inline void spread_tiles(const T* x, const Tiles& t, int64_t first, int64_t count, int64_t down, int64_t right, To&& to) {
  using A = Acc<T>;
  constexpr int kSide = W::kSide, kTile = W::kTile, kShared = kTile - kSide, kBefore = W::kKernel / 2;
  over(t.cols, [&](int64_t c, auto n) {
    Tiles::Place at = t.place(first);
    Vec<A> d[kTile][kTile];  // by column of the tile, each spread
    bool goes_on = false;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t top = kSide * at.y - kBefore, left = kSide * at.x - kBefore;
      const T* corner = x + ((at.image * t.height + top) * t.width + left) * t.ld + c;
      const auto column = [&](int q) {
        if (left + q < 0 || left + q >= t.width) {
#pragma GCC unroll 6
          for (int r = 0; r < kTile; ++r) d[q][r] = Vec<A>{};
          return;
        }
        const T* from = corner + q * t.ld;
        const int64_t row = t.width * t.ld;
#pragma GCC unroll 6
        for (int r = 0; r < kTile; ++r)
          d[q][r] = (r >= kBefore || top + r >= 0) && (r <= kBefore || top + r < t.height) ? load(from + r * row, n) : Vec<A>{};
        W::spread(d[q]);
      };
      // The columns that tiles side by side share are already transformed one way.
#pragma GCC unroll 4
      for (int q = 0; q < kShared; ++q)
        if (goes_on) {
#pragma GCC unroll 6
          for (int r = 0; r < kTile; ++r) d[q][r] = d[kSide + q][r];
        } else {
          column(q);
        }
      for (int q = kShared; q < kTile; ++q) column(q);
      // Prefetches what the next row of tiles begins with.
      for (int r = kTile; r < kTile + kSide; ++r)
        for (int q = kBefore; q < kBefore + kSide; ++q) fetch(corner, (r * t.width + q) * t.ld, 1);
      auto* corner_to = to(i, c);
#pragma GCC unroll 6
      for (int r = 0; r < kTile; ++r) {
        Vec<A> row[kTile];
#pragma GCC unroll 6
        for (int q = 0; q < kTile; ++q) row[q] = d[q][r];
        W::spread(row);
#pragma GCC unroll 6
        for (int q = 0; q < kTile; ++q) store(corner_to + r * down + q * right, row[q], n);
      }
      goes_on = t.advance(at);
    }
  });
}

template <class W, class T>
void winograd_input(const T* x, const Tiles& t, int64_t first, int64_t count, Acc<T>* out, int64_t step) {
  spread_tiles<W>(x, t, first, count, W::kTile * step, step, [&](int64_t i, int64_t c) { return out + i * t.cols + c; });
}

// What is done to the products of an output: the way back, scale, shift, shortcut and non-linearity.
template <class T, class N>
struct TileEnd {
  Vec<Acc<T>> scale, shift;
  const T* add;
  T* y;
  int64_t ld, c;  // the outputs of a pixel, and where these are
  N n;

  TileEnd(const Acc<T>* scale, const Acc<T>* shift, const T* add, T* y, int64_t ld, int64_t c, N n)
      : scale(scale ? load(scale + c, n) : Vec<Acc<T>>{} + 1),
        shift(shift ? load(shift + c, n) : Vec<Acc<T>>{}),
        add(add), y(y), ld(ld), c(c), n(n) {}

  // Stores the pixels of a tile, of which half(row, column) is A^T · m: the other half of the way back is done here.
  template <class W, int act, class Half>
  void finish(const Tiles& t, const Tiles::Place& at, Half&& half) const {
#pragma GCC unroll 4
    for (int r = 0; r < W::kSide; ++r) {
      Vec<Acc<T>> m[W::kTile], v[W::kSide];
#pragma GCC unroll 6
      for (int q = 0; q < W::kTile; ++q) m[q] = half(r, q);
      W::gather(m, v);
#pragma GCC unroll 4
      for (int q = 0; q < W::kSide; ++q) {
        const int64_t row = W::kSide * at.y + r, col = W::kSide * at.x + q;
        if (row >= t.height || col >= t.width) continue;
        const int64_t to = ((at.image * t.height + row) * t.width + col) * ld + c;
        v[q] = v[q] * scale + shift;
        if (add) v[q] += load(add + to, n);
        store(y + to, Activation<act>::template value<T>(v[q]), n);
      }
    }
  }
};

template <class W, class T>
void winograd_output(const Acc<T>* products, int64_t step, const Tiles& t, int64_t first, int64_t count, int64_t cols,
                     const Acc<T>* scale, const Acc<T>* shift, const T* add, int act, T* y, int64_t ld) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    over(cols, [&](int64_t c, auto n) {
      const TileEnd<T, decltype(n)> end(scale, shift, add, y, ld, c, n);
      Tiles::Place at = t.place(first);
      for (int64_t i = 0; i < count; ++i, t.advance(at)) {
        Vec<A> half[W::kTile][W::kSide];
#pragma GCC unroll 6
        for (int q = 0; q < W::kTile; ++q) {
          Vec<A> m[W::kTile];
#pragma GCC unroll 6
          for (int r = 0; r < W::kTile; ++r) m[r] = load(products + (r * W::kTile + q) * step + i * cols + c, n);
          W::gather(m, half[q]);
        }
        end.template finish<W, constant.value>(t, at, [&](int r, int q) { return half[q][r]; });
      }
    });
  });
}

#if defined(__AVX512BF16__)
// The products of a column of four places with sixteen outputs, for kGroup tiles, and the first half of the way back, A^T · m.
// The sums of 4 x 6 take 24 of the 32 registers; four hold weights, read once for six tiles, and the rest broadcast pairs of
// the input. The sums never go to memory, which bounds the variant by matrix products. `spread` is [blocks][4 columns][4][kGroup][K], `weight` [in / 2][4][16][2].
template <int K>
inline void winograd_column(const bf16* spread, int64_t blocks, const bf16* weight, __m512 (*half)[kGroup]) {
  static_assert(kGroup == 6, "the loops below are unrolled by it");
  __m512 sums[4][kGroup];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r)
#pragma GCC unroll 6
    for (int t = 0; t < kGroup; ++t) sums[r][t] = _mm512_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b, spread += 16 * kGroup * K)
    for (int k = 0; k < K; k += 2, weight += 128) {
      __m512bh w[4];
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) w[r] = (__m512bh)_mm512_loadu_si512(weight + r * 32);
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r)
#pragma GCC unroll 6
        for (int t = 0; t < kGroup; ++t) {
          int32_t pair;
          std::memcpy(&pair, spread + (r * kGroup + t) * K + k, sizeof(pair));
          sums[r][t] = _mm512_dpbf16_ps(sums[r][t], w[r], (__m512bh)_mm512_set1_epi32(pair));
        }
    }
#pragma GCC unroll 6
  for (int t = 0; t < kGroup; ++t) {
    half[0][t] = sums[0][t] + (sums[1][t] + sums[2][t]);
    half[1][t] = (sums[1][t] - sums[2][t]) - sums[3][t];
  }
}

template <int K>
void fused_winograd_of(const bf16* x, const Tiles& t, int64_t first, int64_t count, const bf16* weight, int64_t out,
                       const float* scale, const float* shift, const bf16* add, int act, bf16* y, bf16* workspace) {
  const int64_t blocks = t.cols / K, group = 16 * kGroup * t.cols;
  spread_tiles<Winograd<2, 3>>(x, t, first, count, kGroup * K, 4 * kGroup * K, [&](int64_t i, int64_t c) {
    return workspace + i / kGroup * group + (c / K * 16 * kGroup + i % kGroup) * K + c % K;
  });
  with_act(act, [&](auto constant) {
    for (int64_t c = 0; c < out; c += kLanes, weight += 16 * kLanes * t.cols) {
      const TileEnd<bf16, Full> end(scale, shift, add, y, out, c, Full());
      Tiles::Place at = t.place(first);
      for (int64_t begin = 0; begin < count; begin += kGroup) {
        __m512 half[4][2][kGroup];
        for (int q = 0; q < 4; ++q)
          winograd_column<K>(workspace + begin / kGroup * group + q * 4 * kGroup * K, blocks, weight + q * 4 * kLanes * t.cols,
                             half[q]);
        for (int64_t i = 0; i < kGroup && begin + i < count; ++i, t.advance(at))
          end.finish<Winograd<2, 3>, constant.value>(t, at, [&](int r, int q) { return (Vec<float>)half[q][r][i]; });
      }
    }
  });
}

void fused_winograd(const bf16* x, const Tiles& t, int64_t first, int64_t count, const bf16* weight, int64_t out,
                    const float* scale, const float* shift, const bf16* add, int act, bf16* y, bf16* workspace) {
  const auto of = t.cols % 64 == 0 ? fused_winograd_of<64> : t.cols % 32 == 0 ? fused_winograd_of<32> : fused_winograd_of<16>;
  of(x, t, first, count, weight, out, scale, shift, add, act, y, workspace);
}
#endif

// Null where the processor has no bfloat16 dot products.
template <class T>
constexpr auto fused_winograd_kernel() -> decltype(Kernels<T>::fused_winograd) {
#if defined(__AVX512BF16__)
  if constexpr (sizeof(T) == 2) return fused_winograd;
#endif
  return nullptr;
}

template <class W, class A>
void winograd_weight(const A* weight, int64_t cols, A* out, int64_t step) {
  over(cols, [&](int64_t c, auto n) {
    constexpr int kKernel = W::kKernel;
    Vec<A> rows[kKernel][W::kTile];
    for (int r = 0; r < kKernel; ++r) {
      Vec<A> g[kKernel];
      for (int q = 0; q < kKernel; ++q) g[q] = load(weight + (r * kKernel + q) * cols + c, n);
      W::weigh(g, rows[r]);
    }
    for (int q = 0; q < W::kTile; ++q) {
      Vec<A> g[kKernel], all[W::kTile];
      for (int r = 0; r < kKernel; ++r) g[r] = rows[r][q];
      W::weigh(g, all);
      for (int r = 0; r < W::kTile; ++r) store(out + (r * W::kTile + q) * step + c, all[r], n);
    }
  });
}

// A · dy · A^T
template <class W, class T>
void winograd_output_gradient(const T* dy, const Tiles& t, int64_t first, int64_t count, Acc<T>* out, int64_t step) {
  using A = Acc<T>;
  over(t.cols, [&](int64_t c, auto n) {
    Tiles::Place at = t.place(first);
    for (int64_t i = 0; i < count; ++i, t.advance(at)) {
      const int64_t top = W::kSide * at.y, left = W::kSide * at.x;
      const T* corner = dy + ((at.image * t.height + top) * t.width + left) * t.ld + c;
      Vec<A> wide[W::kSide][W::kTile];  // by column of the tile
#pragma GCC unroll 4
      for (int q = 0; q < W::kSide; ++q) {
        Vec<A> d[W::kSide];
#pragma GCC unroll 4
        for (int r = 0; r < W::kSide; ++r)
          d[r] = top + r < t.height && left + q < t.width ? load(corner + (r * t.width + q) * t.ld, n) : Vec<A>{};
        W::widen_output(d, wide[q]);
      }
      A* to = out + i * t.cols + c;
#pragma GCC unroll 6
      for (int r = 0; r < W::kTile; ++r) {
        Vec<A> row[W::kSide], all[W::kTile];
#pragma GCC unroll 4
        for (int q = 0; q < W::kSide; ++q) row[q] = wide[q][r];
        W::widen_output(row, all);
#pragma GCC unroll 6
        for (int q = 0; q < W::kTile; ++q) store(to + (r * W::kTile + q) * step, all[q], n);
      }
    }
  });
}

// G^T · m · G
template <class W, class A>
void winograd_weight_gradient(const A* places, int64_t step, int64_t cols, A* gradient, int64_t tap_step) {
  over(cols, [&](int64_t c, auto n) {
    constexpr int kKernel = W::kKernel;
    Vec<A> rows[W::kTile][kKernel];  // by column of the places
    for (int q = 0; q < W::kTile; ++q) {
      Vec<A> m[W::kTile];
      for (int r = 0; r < W::kTile; ++r) m[r] = load(places + (r * W::kTile + q) * step + c, n);
      W::narrow_weight(m, rows[q]);
    }
    for (int r = 0; r < kKernel; ++r) {
      Vec<A> row[W::kTile], g[kKernel];
      for (int q = 0; q < W::kTile; ++q) row[q] = rows[q][r];
      W::narrow_weight(row, g);
      for (int q = 0; q < kKernel; ++q) store(gradient + (r * kKernel + q) * tap_step + c, g[q], n);
    }
  });
}

template <class W, class T>
constexpr WinogradKernels<T> winograd_of() {
  return {W::kSide,
          W::kTile * W::kTile,
          winograd_input<W, T>,
          winograd_output<W, T>,
          winograd_weight<W, Acc<T>>,
          winograd_output_gradient<W, T>,
          winograd_weight_gradient<W, Acc<T>>};
}

}  // namespace

template <class T>
void STRATA_ISA::winograd_kernels(Kernels<T>& table) {
  table.winograd_2x3 = winograd_of<Winograd<2, 3>, T>();
  table.winograd_4x3 = winograd_of<Winograd<4, 3>, T>();
  table.winograd_2x5 = winograd_of<Winograd<2, 5>, T>();
  table.fused_winograd = fused_winograd_kernel<T>();
}
STRATA_INSTANTIATE(winograd_kernels)

}  // namespace strata
