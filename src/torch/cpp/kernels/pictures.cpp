// Pixels: what a JPEG decoder and a resampler do in their inner loops. Bit for bit the inverse DCT, the chroma filter and the
// colours of libjpeg (jidctint.c, jdsample.c, jdcolor.c), which Pillow and torchvision read images with.

// A product and a sum rounded at once would differ from one instruction set to another.
#pragma GCC optimize("fp-contract=off")

#include "pictures.h"

#include <cstring>
#include <type_traits>

namespace strata::STRATA_ISA {

namespace {

typedef int32_t I8 __attribute__((vector_size(32)));
typedef uint32_t U8 __attribute__((vector_size(32)));
typedef float F8 __attribute__((vector_size(32)));
typedef uint8_t B8 __attribute__((vector_size(8)));
typedef int16_t H8 __attribute__((vector_size(16)));

template <class V, class P>
inline V get(const P* p) {
  V v;
  std::memcpy(&v, p, sizeof(V));
  return v;
}
template <class V, class P>
inline void put(P* p, const V& v) {
  std::memcpy(p, &v, sizeof(V));
}

template <class V>
inline void transpose(V (&v)[8]) {
  V a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], I8{0, 8, 1, 9, 4, 12, 5, 13});
    a[2 * i + 1] = __builtin_shuffle(v[2 * i], v[2 * i + 1], I8{2, 10, 3, 11, 6, 14, 7, 15});
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      b[i + 2 * j] = __builtin_shuffle(a[i + j], a[i + j + 2], I8{0, 1, 8, 9, 4, 5, 12, 13});
      b[i + 2 * j + 1] = __builtin_shuffle(a[i + j], a[i + j + 2], I8{2, 3, 10, 11, 6, 7, 14, 15});
    }
  for (int i = 0; i < 4; ++i) {
    v[i] = __builtin_shuffle(b[i], b[i + 4], I8{0, 1, 2, 3, 8, 9, 10, 11});
    v[i + 4] = __builtin_shuffle(b[i], b[i + 4], I8{4, 5, 6, 7, 12, 13, 14, 15});
  }
}

// One dimension of the inverse DCT of Loeffler, Ligtenberg and Moschytz on eight vectors. Unsigned, since a broken file may
// overflow.
template <int shift>
inline void inverse(U8 (&v)[8]) {
  const auto scaled = [](U8 x) { return (U8)((I8)(x + (1u << (shift - 1))) >> shift); };
  const U8 even = (v[2] + v[6]) * 4433u, two = even - v[6] * 15137u, three = even + v[2] * 6270u;
  const U8 sum = (v[0] + v[4]) << 13, difference = (v[0] - v[4]) << 13;
  const U8 e0 = sum + three, e3 = sum - three, e1 = difference + two, e2 = difference - two;
  const U8 z5 = (v[7] + v[3] + v[5] + v[1]) * 9633u;
  const U8 z1 = (v[7] + v[1]) * 7373u, z2 = (v[5] + v[3]) * 20995u;
  const U8 z3 = z5 - (v[7] + v[3]) * 16069u, z4 = z5 - (v[5] + v[1]) * 3196u;
  const U8 o0 = v[7] * 2446u - z1 + z3, o1 = v[5] * 16819u - z2 + z4;
  const U8 o2 = v[3] * 25172u - z2 + z3, o3 = v[1] * 12299u - z1 + z4;
  v[0] = scaled(e0 + o3), v[7] = scaled(e0 - o3);
  v[1] = scaled(e1 + o2), v[6] = scaled(e1 - o2);
  v[2] = scaled(e2 + o1), v[5] = scaled(e2 - o1);
  v[3] = scaled(e3 + o0), v[4] = scaled(e3 - o0);
}

inline int clamp(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

void blocks(const int16_t* coefficients, const uint8_t* last, const int16_t* quantizer, int64_t count, uint8_t* out,
            int64_t ld) {
  for (int64_t block = 0; block < count; ++block, coefficients += 64, out += 8) {
    if (last[block] == 0) {
      const int value = clamp(((coefficients[0] * quantizer[0] + 4) >> 3) + 128);
      for (int row = 0; row < 8; ++row) std::memset(out + row * ld, value, 8);
      continue;
    }
    U8 v[8];
    for (int row = 0; row < 8; ++row) {
      const I8 value = __builtin_convertvector(get<H8>(coefficients + 8 * row), I8);
      v[row] = (U8)(value * __builtin_convertvector(get<H8>(quantizer + 8 * row), I8));
    }
    inverse<11>(v);
    transpose(v);
    inverse<18>(v);
    transpose(v);
    for (int row = 0; row < 8; ++row) {
      I8 pixel = (I8)v[row] + 128;
      pixel = pixel < 0 ? I8{} : pixel;
      pixel = pixel > 255 ? I8{} + 255 : pixel;
      put(out + row * ld, __builtin_convertvector(pixel, B8));
    }
  }
}

void chroma(const uint8_t* near, const uint8_t* far, int64_t count, int across, int down, uint8_t* __restrict out,
            uint16_t* __restrict workspace) {
  if (across == 1) {
    for (int64_t i = 1; i <= count; ++i) out[i - 1] = static_cast<uint8_t>((3 * near[i] + far[i] + down) >> 2);
    return;
  }
  if (down == 0)
    for (int64_t i = 0; i < count + 2; ++i) workspace[i] = near[i];
  else
    for (int64_t i = 0; i < count + 2; ++i) workspace[i] = static_cast<uint16_t>(3 * near[i] + far[i]);
  const int shift = down == 0 ? 2 : 4;
  const uint16_t left = down == 0 ? 1 : 8, right = down == 0 ? 2 : 7;
  for (int64_t i = 1; i <= count; ++i) {
    const auto centre = static_cast<uint16_t>(3 * workspace[i]);
    out[2 * i - 2] = static_cast<uint8_t>(static_cast<uint16_t>(centre + workspace[i - 1] + left) >> shift);
    out[2 * i - 1] = static_cast<uint8_t>(static_cast<uint16_t>(centre + workspace[i + 1] + right) >> shift);
  }
}

void colours(const uint8_t* __restrict y, const uint8_t* __restrict cb, const uint8_t* __restrict cr, int64_t count,
             uint8_t* __restrict r, uint8_t* __restrict g, uint8_t* __restrict b) {
  constexpr int half = 1 << 15;
  for (int64_t i = 0; i < count; ++i) {
    const int blue = cb[i] - 128, red = cr[i] - 128;
    r[i] = static_cast<uint8_t>(clamp(y[i] + ((91881 * red + half) >> 16)));
    g[i] = static_cast<uint8_t>(clamp(y[i] + ((-22554 * blue - 46802 * red + half) >> 16)));
    b[i] = static_cast<uint8_t>(clamp(y[i] + ((116130 * blue + half) >> 16)));
  }
}

// Eight rows of bytes, of which `rows` exist, as columns of eight numbers.
inline void columns_of(const uint8_t* in, int64_t rows, int64_t width, int64_t ld, float* out) {
  int64_t x = 0;
  for (; x + 8 <= width; x += 8) {
    F8 v[8];
    for (int64_t row = 0; row < 8; ++row)
      v[row] = __builtin_convertvector(__builtin_convertvector(get<B8>(in + (row < rows ? row : 0) * ld + x), I8), F8);
    transpose(v);
    for (int i = 0; i < 8; ++i) put(out + 8 * (x + i), v[i]);
  }
  for (; x < width; ++x)
    for (int64_t row = 0; row < 8; ++row) out[8 * x + row] = in[(row < rows ? row : 0) * ld + x];
}

// Calls f with the reach as a constant where it is small, so that its loops are unrolled.
template <class F>
inline void with_reach(int64_t reach, F&& f) {
  switch (reach) {
    case 1: return f(std::integral_constant<int64_t, 1>());
    case 2: return f(std::integral_constant<int64_t, 2>());
    case 3: return f(std::integral_constant<int64_t, 3>());
    case 4: return f(std::integral_constant<int64_t, 4>());
    case 5: return f(std::integral_constant<int64_t, 5>());
    case 6: return f(std::integral_constant<int64_t, 6>());
    default: return f(reach);
  }
}

// Columns of eight numbers to eight lines of means.
template <class Reach>
inline void along(const float* columns, const Taps& taps, Reach reach, float* lines) {
  const int64_t wide = taps.count;
  const auto mean = [&](int64_t x) {
    const float* weights = taps.weights + x * reach;
    const float* from = columns + 8 * taps.first[x];
    F8 sum = {};
    for (int64_t k = 0; k < reach; ++k) sum += weights[k] * get<F8>(from + 8 * k);
    return sum;
  };
  int64_t x = 0;
  for (; x + 8 <= wide; x += 8) {
    F8 v[8];
    for (int i = 0; i < 8; ++i) v[i] = mean(x + i);
    transpose(v);
    for (int i = 0; i < 8; ++i) put(lines + i * wide + x, v[i]);
  }
  for (; x < wide; ++x) {
    const F8 sum = mean(x);
    for (int i = 0; i < 8; ++i) lines[i * wide + x] = sum[i];
  }
}

// Lines of numbers to a row of bytes. 0.5 is added first: the conversion truncates.
template <class Reach>
inline void across_lines(const float* from, const float* weights, Reach reach, int64_t wide, uint8_t* out) {
  constexpr int kVectors = 4;
  int64_t x = 0;
  const auto vectors = [&](auto count) {
    F8 sums[count];
    for (int i = 0; i < count; ++i) sums[i] = F8{} + 0.5f;
    for (int64_t k = 0; k < reach; ++k)
      for (int i = 0; i < count; ++i) sums[i] += weights[k] * get<F8>(from + k * wide + x + 8 * i);
    for (int i = 0; i < count; ++i) {
      I8 whole = __builtin_convertvector(sums[i], I8);
      whole = whole > 255 ? I8{} + 255 : whole;
      put(out + x + 8 * i, __builtin_convertvector(whole, B8));
    }
    x += 8 * count;
  };
  while (x + 8 * kVectors <= wide) vectors(std::integral_constant<int, kVectors>());
  while (x + 8 <= wide) vectors(std::integral_constant<int, 1>());
  for (; x < wide; ++x) {
    float sum = 0.5f;
    for (int64_t k = 0; k < reach; ++k) sum += weights[k] * from[k * wide + x];
    out[x] = static_cast<uint8_t>(clamp(static_cast<int>(sum)));
  }
}

void resample(const uint8_t* in, int64_t rows, int64_t width, int64_t ld, const Taps& down, const Taps& across,
              uint8_t* out, float* workspace) {
  float* columns = workspace;
  float* lines = workspace + 8 * width;
  with_reach(across.reach, [&](auto reach) {
    for (int64_t row = 0; row < rows; row += 8) {
      columns_of(in + row * ld, rows - row, width, ld, columns);
      along(columns, across, reach, lines + row * across.count);
    }
  });
  with_reach(down.reach, [&](auto reach) {
    const int64_t wide = across.count;
    for (int64_t y = 0; y < down.count; ++y)
      across_lines(lines + down.first[y] * wide, down.weights + y * reach, reach, wide, out + y * wide);
  });
}

}  // namespace

PictureKernels picture_table() { return {blocks, chroma, colours, resample}; }

}  // namespace strata::STRATA_ISA
