// Copies into the layouts that matrix products read. Every weight and every map of a training step passes through one, so
// that scalar loops would take longer than the products: bfloat16 is moved in registers, as words of two numbers.

#include "parts.h"
#include "vectors.h"

namespace strata {
namespace {

// Transposes sixteen rows of sixteen words in place: four rounds that exchange ever smaller halves, 64 shuffles in all where
// single stores would be 256.
inline void transpose16(U32 (&m)[16]) {
  constexpr auto lo8 = U32{0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23};
  constexpr auto hi8 = U32{8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31};
  constexpr auto lo4 = U32{0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27};
  constexpr auto hi4 = U32{4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31};
  constexpr auto lo2 = U32{0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29};
  constexpr auto hi2 = U32{2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31};
  constexpr auto lo1 = U32{0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30};
  constexpr auto hi1 = U32{1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31};
  const auto round = [&m](int distance, U32 low, U32 high) {
    for (int i = 0; i < 16; ++i) {
      if (i & distance) continue;
      const U32 a = m[i], b = m[i + distance];
      m[i] = __builtin_shuffle(a, b, low);
      m[i + distance] = __builtin_shuffle(a, b, high);
    }
  };
  round(8, lo8, hi8);
  round(4, lo4, hi4);
  round(2, lo2, hi2);
  round(1, lo1, hi1);
}

// The bits of sixteen bfloat16, one a word.
inline U32 words(const bf16* p) {
  return words(loadu<U16>(p));
}
inline U32 words(const float* p) {
  return words(narrow(loadu<Vec<float>>(p)));
}
// Up to thirty-two neighbours as sixteen words, zeros behind them.
inline U32 pairs(const float* p, int64_t n) {
  uint16_t out[32] = {};
  storeu(out, narrow(load(p, n < kLanes ? n : kLanes)));
  if (n > kLanes) storeu(out + kLanes, narrow(load(p + kLanes, n - kLanes)));
  return loadu<U32>(out);
}

template <class T, class S>
inline T converted(S value) {
  if constexpr (sizeof(T) == 2 && sizeof(S) == 4) {
    Vec<float> v = {};
    v[0] = value;
    return bf16{narrow(v)[0]};
  } else {
    return value;
  }
}

template <class T, class S>
void interleave(const S* in, int64_t rows, int64_t cols, int64_t ld, T* out) {
  if constexpr (sizeof(T) == 2) {
    for (int64_t r = 0; r < rows; r += 2) {
      const S* top = in + r * ld;
      const S* bottom = r + 1 < rows ? top + ld : nullptr;
      T* to = out + r * cols;
      int64_t c = 0;
      for (; c + kLanes <= cols; c += kLanes) {
        U32 both = words(top + c);
        if (bottom) both |= words(bottom + c) << 16;
        storeu(to + 2 * c, both);
      }
      for (; c < cols; ++c) {
        to[2 * c] = converted<T>(top[c]);
        to[2 * c + 1] = bottom ? converted<T>(bottom[c]) : T{};
      }
    }
  } else {
    for (int64_t r = 0; r < rows; ++r) std::memcpy(out + r * cols, in + r * ld, cols * sizeof(T));
  }
}

template <class T, class S>
void interleave_transposed(const S* in, int64_t rows, int64_t cols, int64_t ld, T* out, int64_t ld_out) {
  if constexpr (sizeof(T) == 2) {
    // Sixteen rows of sixteen pairs at a time, fewer at the ends.
    for (int64_t r = 0; r < rows; r += 16)
      for (int64_t c = 0; c < cols; c += 32) {
        const int64_t height = rows - r < 16 ? rows - r : 16, width = cols - c < 32 ? cols - c : 32;
        U32 m[16] = {};
        for (int64_t i = 0; i < height; ++i) m[i] = pairs(in + (r + i) * ld + c, width);
        transpose16(m);
        for (int64_t i = 0; i < (width + 1) / 2; ++i) {
          T* to = out + ((c / 2 + i) * ld_out + r) * 2;
          if (height == 16)
            storeu(to, m[i]);
          else
            std::memcpy(to, &m[i], height * sizeof(uint32_t));
        }
      }
  } else {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) out[c * ld_out + r] = in[r * ld + c];
  }
}

// Two rows are packed into words and these transposed, so that neighbours in a row of the output come out side by side.
template <class T>
void transpose(const T* in, int64_t rows, int64_t cols, int64_t ld, T* out, int64_t ld_out) {
  const auto scalar = [&](int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
    for (int64_t c = c0; c < c1; ++c)
      for (int64_t r = r0; r < r1; ++r) out[c * ld_out + r] = in[r * ld + c];
  };
  int64_t r = 0;
  if constexpr (sizeof(T) == 2) {
    for (; r + 32 <= rows; r += 32) {
      int64_t c = 0;
      for (; c + 16 <= cols; c += 16) {
        U32 m[16];
        for (int i = 0; i < 16; ++i)
          m[i] = words(in + (r + 2 * i) * ld + c) | words(in + (r + 2 * i + 1) * ld + c) << 16;
        transpose16(m);
        for (int i = 0; i < 16; ++i) storeu(out + (c + i) * ld_out + r, m[i]);
      }
      scalar(r, r + 32, c, cols);
    }
  }
  scalar(r, rows, 0, cols);
}

}  // namespace

template <class T>
void STRATA_ISA::layout_kernels(Kernels<T>& table) {
  table.interleave = interleave<T, T>;
  table.interleave_weights = interleave<T, Acc<T>>;
  table.interleave_transposed = interleave_transposed<T, Acc<T>>;
  table.transpose = transpose<T>;
}
STRATA_INSTANTIATE(layout_kernels)

}  // namespace strata
