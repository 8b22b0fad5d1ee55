// Winograd's transforms in one dimension (Lavin and Gray 2015, arXiv 1509.09308), of vectors or single numbers.

#pragma once

namespace strata {
namespace {

// The transforms in one dimension, for `kSide` outputs of a kernel of `kKernel` taps; `kTile` is the side of a tile of inputs.
template <int side, int kernel>
struct Winograd;

template <>
struct Winograd<2, 3> {
  static constexpr int kSide = 2, kKernel = 3, kTile = 4;

  // B^T · d
  template <class V>
  static void spread(V (&d)[4]) {
    const V a = d[0] - d[2], b = d[1] + d[2], c = d[2] - d[1], e = d[1] - d[3];
    d[0] = a, d[1] = b, d[2] = c, d[3] = e;
  }

  // A^T · m
  template <class V>
  static void gather(const V (&m)[4], V (&out)[2]) {
    const V sum = m[1] + m[2], difference = m[1] - m[2];
    out[0] = m[0] + sum, out[1] = difference - m[3];
  }

  // G · g
  template <class V>
  static void weigh(const V (&g)[3], V (&out)[4]) {
    const V half = (g[0] + g[2]) * 0.5f, middle = g[1] * 0.5f;
    out[0] = g[0], out[1] = half + middle, out[2] = half - middle, out[3] = g[2];
  }

  // A · y
  template <class V>
  static void widen_output(const V (&y)[2], V (&out)[4]) {
    out[0] = y[0], out[1] = y[0] + y[1], out[2] = y[0] - y[1], out[3] = -y[1];
  }

  // G^T · m
  template <class V>
  static void narrow_weight(const V (&m)[4], V (&out)[3]) {
    const V sum = (m[1] + m[2]) / 2;
    out[0] = m[0] + sum, out[1] = (m[1] - m[2]) / 2, out[2] = sum + m[3];
  }
};

// The points 0, 1, -1, 2, -2 and infinity. The transform of the input depends on the tile alone, so that F(4x4, 3x3) and F(2x2, 5x5)
// share it.
struct SixPoints {
  static constexpr int kTile = 6;

  template <class V>
  static void spread(V (&d)[6]) {
    const V a = d[4] - d[2] * 4, b = d[3] - d[1] * 4, c = d[4] - d[2], e = (d[3] - d[1]) * 2;
    const V first = d[0] * 4 - d[2] * 5 + d[4], last = d[1] * 4 - d[3] * 5 + d[5];
    d[0] = first, d[1] = a + b, d[2] = a - b, d[3] = c + e, d[4] = c - e, d[5] = last;
  }
};

template <>
struct Winograd<4, 3> : SixPoints {
  static constexpr int kSide = 4, kKernel = 3;

  template <class V>
  static void gather(const V (&m)[6], V (&out)[4]) {
    const V ones = m[1] + m[2], odd_ones = m[1] - m[2], twos = m[3] + m[4], odd_twos = m[3] - m[4];
    out[0] = m[0] + ones + twos, out[1] = odd_ones + odd_twos * 2;
    out[2] = ones + twos * 4, out[3] = odd_ones + odd_twos * 8 + m[5];
  }

  template <class V>
  static void weigh(const V (&g)[3], V (&out)[6]) {
    const V ends = (g[0] + g[2]) / -6, middle = g[1] / 6, low = (g[0] + g[2] * 4) / 24, odd = g[1] / 12;
    out[0] = g[0] / 4, out[1] = ends - middle, out[2] = ends + middle;
    out[3] = low + odd, out[4] = low - odd, out[5] = g[2];
  }

  template <class V>
  static void widen_output(const V (&y)[4], V (&out)[6]) {
    const V even = y[0] + y[2], odd = y[1] + y[3], even2 = y[0] + y[2] * 4, odd2 = y[1] * 2 + y[3] * 8;
    out[0] = y[0], out[1] = even + odd, out[2] = even - odd;
    out[3] = even2 + odd2, out[4] = even2 - odd2, out[5] = y[3];
  }

  template <class V>
  static void narrow_weight(const V (&m)[6], V (&out)[3]) {
    const V ones = (m[1] + m[2]) / 6, twos = (m[3] + m[4]) / 24;
    out[0] = m[0] / 4 - ones + twos;
    out[1] = (m[2] - m[1]) / 6 + (m[3] - m[4]) / 12;
    out[2] = twos * 4 - ones + m[5];
  }
};

template <>
struct Winograd<2, 5> : SixPoints {
  static constexpr int kSide = 2, kKernel = 5;

  template <class V>
  static void gather(const V (&m)[6], V (&out)[2]) {
    out[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
    out[1] = (m[1] - m[2]) + (m[3] - m[4]) * 2 + m[5];
  }

  template <class V>
  static void weigh(const V (&g)[5], V (&out)[6]) {
    const V even = (g[0] + g[2] + g[4]) / -6, odd = (g[1] + g[3]) / 6;
    const V even2 = (g[0] + g[2] * 4 + g[4] * 16) / 24, odd2 = (g[1] + g[3] * 4) / 12;
    out[0] = g[0] / 4, out[1] = even - odd, out[2] = even + odd;
    out[3] = even2 + odd2, out[4] = even2 - odd2, out[5] = g[4];
  }

  template <class V>
  static void widen_output(const V (&y)[2], V (&out)[6]) {
    const V twice = y[1] * 2;
    out[0] = y[0], out[1] = y[0] + y[1], out[2] = y[0] - y[1];
    out[3] = y[0] + twice, out[4] = y[0] - twice, out[5] = y[1];
  }

  template <class V>
  static void narrow_weight(const V (&m)[6], V (&out)[5]) {
    const V ones = (m[1] + m[2]) / 6, odd_ones = (m[2] - m[1]) / 6, twos = (m[3] + m[4]) / 24, odd_twos = (m[3] - m[4]) / 12;
    out[0] = m[0] / 4 - ones + twos;
    out[1] = odd_ones + odd_twos, out[2] = twos * 4 - ones, out[3] = odd_ones + odd_twos * 4;
    out[4] = twos * 16 - ones + m[5];
  }
};

}  // namespace
}  // namespace strata
