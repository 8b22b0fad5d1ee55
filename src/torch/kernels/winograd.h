// Winograd's form of 3x3 convolutions of stride 1, F(2x2, 3x3): four outputs from sixteen products, where the direct form
// takes thirty-six (Lavin and Gray 2015, arXiv 1509.09308, section 4.1). A tile is the 4x4 values under 2x2 outputs.

#pragma once

#include "norm.h"

namespace strata {
namespace {

// B^T · d of four values.
template <class V>
inline void spread(V (&d)[4]) {
  const V a = d[0] - d[2], b = d[1] + d[2], c = d[2] - d[1], e = d[1] - d[3];
  d[0] = a, d[1] = b, d[2] = c, d[3] = e;
}

template <class T>
void winograd_input(const T* x, const Tiles& t, int64_t first, int64_t count, T* out, int64_t step) {
  using A = Acc<T>;
  over(t.cols, [&](int64_t c, auto n) {
    Tiles::Place at = t.place(first);
    Vec<A> d[4][4];  // by column of the tile, each spread
    bool goes_on = false;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t top = 2 * at.y - 1, left = 2 * at.x - 1;
      const T* corner = x + ((at.image * t.height + top) * t.width + left) * t.ld + c;
      const auto column = [&](int q) {
        if (left + q < 0 || left + q >= t.width) {
#pragma GCC unroll 4
          for (int r = 0; r < 4; ++r) d[q][r] = Vec<A>{};
          return;
        }
        const T* from = corner + q * t.ld;
        const int64_t down = t.width * t.ld;
        d[q][0] = top >= 0 ? load(from, n) : Vec<A>{};
        d[q][1] = load(from + down, n);
        d[q][2] = top + 2 < t.height ? load(from + 2 * down, n) : Vec<A>{};
        d[q][3] = top + 3 < t.height ? load(from + 3 * down, n) : Vec<A>{};
        spread(d[q]);
      };
      // Tiles side by side share two columns.
      if (goes_on) {
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) d[0][r] = d[2][r], d[1][r] = d[3][r];
      } else {
        column(0), column(1);
      }
      column(2), column(3);
      T* to = out + i * t.cols + c;
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        Vec<A> row[4] = {d[0][r], d[1][r], d[2][r], d[3][r]};
        spread(row);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) store(to + (r * 4 + q) * step, row[q], n);
      }
      goes_on = t.advance(at);
    }
  });
}

// A^T · m of four values.
template <class V>
inline void gather(const V (&m)[4], V& even, V& odd) {
  const V sum = m[1] + m[2], difference = m[1] - m[2];
  even = m[0] + sum, odd = difference - m[3];
}

template <class T>
void winograd_output(const Acc<T>* products, int64_t step, const Tiles& t, int64_t first, int64_t count, int64_t cols,
                     const Acc<T>* scale, const Acc<T>* shift, const T* add, int act, T* y, int64_t ld) {
  using A = Acc<T>;
  with_act(act, [&](auto constant) {
    over(cols, [&](int64_t c, auto n) {
      const Vec<A> a = scale ? load(scale + c, n) : Vec<A>{} + 1, b = shift ? load(shift + c, n) : Vec<A>{};
      Tiles::Place at = t.place(first);
      for (int64_t i = 0; i < count; ++i, t.advance(at)) {
        Vec<A> half[2][4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
          Vec<A> m[4];
#pragma GCC unroll 4
          for (int r = 0; r < 4; ++r) m[r] = load(products + (r * 4 + q) * step + i * cols + c, n);
          gather(m, half[0][q], half[1][q]);
        }
#pragma GCC unroll 2
        for (int r = 0; r < 2; ++r) {
          Vec<A> v[2];
          gather(half[r], v[0], v[1]);
#pragma GCC unroll 2
          for (int q = 0; q < 2; ++q) {
            const int64_t row = 2 * at.y + r, col = 2 * at.x + q;
            if (row >= t.height || col >= t.width) continue;
            const int64_t to = ((at.image * t.height + row) * t.width + col) * ld + c;
            v[q] = v[q] * a + b;
            if (add) v[q] += load(add + to, n);
            store(y + to, activated<constant.value, T>(v[q]), n);
          }
        }
      }
    });
  });
}

// G · g of three values.
template <class V>
inline void weigh(const V (&g)[3], V (&out)[4]) {
  const V half = (g[0] + g[2]) * 0.5f;
  const V middle = g[1] * 0.5f;
  out[0] = g[0], out[1] = half + middle, out[2] = half - middle, out[3] = g[2];
}

template <class A>
void winograd_weight(const A* weight, int64_t cols, A* out, int64_t step) {
  over(cols, [&](int64_t c, auto n) {
    Vec<A> rows[3][4];
    for (int r = 0; r < 3; ++r) {
      Vec<A> g[3];
      for (int q = 0; q < 3; ++q) g[q] = load(weight + (r * 3 + q) * cols + c, n);
      weigh(g, rows[r]);
    }
    for (int q = 0; q < 4; ++q) {
      const Vec<A> g[3] = {rows[0][q], rows[1][q], rows[2][q]};
      Vec<A> all[4];
      weigh(g, all);
      for (int r = 0; r < 4; ++r) store(out + (r * 4 + q) * step + c, all[r], n);
    }
  });
}

}  // namespace
}  // namespace strata
