// Copies into the layouts that matrix products read. Every weight and every map of a training step passes through one, so
// that scalar loops would take longer than the products: bfloat16 is moved in registers, as words of two numbers.

#include <utility>

#include "parts.h"
#include "vectors.h"

namespace strata {
namespace {

// `lower` takes from both vectors the lanes whose number lacks the bit `distance`, `upper` those whose number has it.
template <int distance, std::size_t... lane>
inline U32 lower(U32 a, U32 b, std::index_sequence<lane...>) {
  return __builtin_shuffle(a, b, U32{(lane & distance ? kLanes + (lane ^ distance) : lane)...});
}
template <int distance, std::size_t... lane>
inline U32 upper(U32 a, U32 b, std::index_sequence<lane...>) {
  return __builtin_shuffle(a, b, U32{(lane & distance ? kLanes + lane : lane ^ distance)...});
}

// Transposes kLanes rows of as many words in place, by rounds that exchange ever smaller halves: of sixteen rows, 64 shuffles
// in all, where single stores would be 256.
template <int distance = kLanes / 2>
inline void transpose_words(U32 (&m)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & distance) continue;
    const U32 a = m[i], b = m[i + distance];
    m[i] = lower<distance>(a, b, std::make_index_sequence<kLanes>());
    m[i + distance] = upper<distance>(a, b, std::make_index_sequence<kLanes>());
  }
  if constexpr (distance > 1) transpose_words<distance / 2>(m);
}

// The bits of kLanes bfloat16, one a word.
inline U32 words(const bf16* p) {
  return words(loadu<U16>(p));
}
inline U32 words(const float* p) {
  return words(narrow(loadu<Vec<float>>(p)));
}
// 2 · kLanes neighbours as kLanes words. They are joined in registers: a load right behind two smaller stores would wait for both.
template <std::size_t... lane>
inline U32 joined(U16 low, U16 high, std::index_sequence<lane...>) {
  return (U32)__builtin_shufflevector(low, high, lane...);
}
inline U32 pairs(const float* p) {
  return joined(narrow(loadu<Vec<float>>(p)), narrow(loadu<Vec<float>>(p + kLanes)), std::make_index_sequence<2 * kLanes>());
}
// As above, of fewer, with zeros after them.
inline U32 pairs(const float* p, int64_t n) {
  if (n == 2 * kLanes) return pairs(p);
  uint16_t out[2 * kLanes] = {};
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

// Writes the transpose of rows [r, r1) and columns [c, c1), number by number.
template <class T>
inline void transpose_ends(const T* in, int64_t r0, int64_t r1, int64_t c0, int64_t c1, int64_t ld, T* out, int64_t ld_out) {
  for (int64_t c = c0; c < c1; ++c)
    for (int64_t r = r0; r < r1; ++r) out[c * ld_out + r] = in[r * ld + c];
}

// A word is a float, or two rows of bfloat16: neighbours in a row of the output come out side by side.
template <class T>
void transpose(const T* in, int64_t rows, int64_t cols, int64_t ld, T* out, int64_t ld_out) {
  constexpr int64_t rows_at_once = kLanes * 4 / sizeof(T);
  int64_t r = 0;
  if constexpr (sizeof(T) <= 4) {
    for (; r + rows_at_once <= rows; r += rows_at_once) {
      int64_t c = 0;
      for (; c + kLanes <= cols; c += kLanes) {
        U32 m[kLanes];
        for (int i = 0; i < kLanes; ++i)
          if constexpr (sizeof(T) == 4)
            m[i] = loadu<U32>(in + (r + i) * ld + c);
          else
            m[i] = words(in + (r + 2 * i) * ld + c) | words(in + (r + 2 * i + 1) * ld + c) << 16;
        transpose_words(m);
        for (int i = 0; i < kLanes; ++i) storeu(out + (c + i) * ld_out + r, m[i]);
      }
      transpose_ends(in, r, r + rows_at_once, c, cols, ld, out, ld_out);
    }
  }
  transpose_ends(in, r, rows, 0, cols, ld, out, ld_out);
}

template <class T, class S>
void interleave_transposed(const S* in, int64_t rows, int64_t cols, int64_t ld, T* out, int64_t ld_out) {
  if constexpr (sizeof(T) == 2) {
    // kLanes rows of as many pairs at a time, fewer at the ends.
    for (int64_t r = 0; r < rows; r += kLanes)
      for (int64_t c = 0; c < cols; c += 2 * kLanes) {
        const int64_t height = rows - r < kLanes ? rows - r : kLanes, width = cols - c < 2 * kLanes ? cols - c : 2 * kLanes;
        U32 m[kLanes] = {};
        for (int64_t i = 0; i < height; ++i) m[i] = pairs(in + (r + i) * ld + c, width);
        transpose_words(m);
        for (int64_t i = 0; i < (width + 1) / 2; ++i) {
          T* to = out + ((c / 2 + i) * ld_out + r) * 2;
          if (height == kLanes)
            storeu(to, m[i]);
          else
            std::memcpy(to, &m[i], height * sizeof(uint32_t));
        }
      }
  } else {
    transpose(in, rows, cols, ld, out, ld_out);
  }
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
