// Vectors of floats that fill a register, by GCC's vector extensions, which the compiler maps to the instruction set. Everything
// is in an unnamed namespace, because this is compiled once for each set.

#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace strata {
namespace {

// The floats of a register. Wider vectors would be correct too, but GCC compiles their comparisons and conversions number by
// number. Vectors of doubles are twice as wide as a register; they serve tests alone.
#if defined(__AVX512F__)
constexpr int64_t kLanes = 16;
#elif defined(__AVX2__)
constexpr int64_t kLanes = 8;
#else
constexpr int64_t kLanes = 4;
#endif

typedef uint16_t U16 __attribute__((vector_size(2 * kLanes)));
typedef uint32_t U32 __attribute__((vector_size(4 * kLanes)));
typedef int32_t I32 __attribute__((vector_size(4 * kLanes)));

template <class A>
struct VecOf {
  typedef A type __attribute__((vector_size(kLanes * sizeof(A))));
};
template <class A>
using Vec = typename VecOf<A>::type;

template <class V, class P>
inline V loadu(const P* p) {
  V v;
  std::memcpy(&v, p, sizeof(V));
  return v;
}
template <class V, class P>
inline void storeu(P* p, const V& v) {
  std::memcpy(p, &v, sizeof(V));
}

inline U32 words(U16 bits) {
#if defined(__AVX512F__)
  return (U32)_mm512_cvtepu16_epi32((__m256i)bits);  // the compiler makes it in two halves
#else
  return __builtin_convertvector(bits, U32);
#endif
}

inline Vec<float> widen(U16 bits) { return (Vec<float>)(words(bits) << 16); }

// To the nearest, ties to even; NaN stays NaN.
inline U16 narrow(Vec<float> v) {
#if defined(__AVX512BF16__)
  const __m256bh half = _mm512_cvtneps_pbh((__m512)v);
  U16 out;
  std::memcpy(&out, &half, sizeof(out));
  return out;
#else
  const U32 bits = (U32)v;
  const U32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const I32 ordered = v == v;
  const U32 chosen = ((U32)ordered & rounded) | (~(U32)ordered & 0x7fc0);
  return __builtin_convertvector(chosen, U16);
#endif
}

// Loads kLanes numbers, or n at the end of a row: the other lanes are zero.
template <class T>
inline Vec<Acc<T>> load(const T* p) {
  if constexpr (sizeof(T) == 2)
    return widen(loadu<U16>(p));
  else
    return loadu<Vec<T>>(p);
}
template <class T>
inline void store(T* p, Vec<Acc<T>> v) {
  if constexpr (sizeof(T) == 2)
    storeu(p, narrow(v));
  else
    storeu(p, v);
}
#if defined(__AVX512BW__) && defined(__AVX512VL__)
inline Vec<float> load(const bf16* p, int64_t n) {
  return widen((U16)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p));
}
inline void store(bf16* p, Vec<float> v, int64_t n) {
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), (__m256i)narrow(v));
}
inline Vec<float> load(const float* p, int64_t n) {
  return (Vec<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
inline void store(float* p, Vec<float> v, int64_t n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
}
#elif defined(__AVX2__)
// All ones in the first n lanes.
inline __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vec<float> load(const float* p, int64_t n) { return (Vec<float>)_mm256_maskload_ps(p, first_lanes(n)); }
inline void store(float* p, Vec<float> v, int64_t n) { _mm256_maskstore_ps(p, first_lanes(n), (__m256)v); }
#endif
template <class T>
inline Vec<Acc<T>> load(const T* p, int64_t n) {
  if (n == kLanes) return load(p);
  T buffer[kLanes] = {};
  std::memcpy(buffer, p, n * sizeof(T));
  return load(buffer);
}
template <class T>
inline void store(T* p, Vec<Acc<T>> v, int64_t n) {
  if (n == kLanes) return store(p, v);
  T buffer[kLanes];
  store(buffer, v);
  std::memcpy(p, buffer, n * sizeof(T));
}

using Full = std::integral_constant<int64_t, kLanes>;
template <class T>
inline Vec<Acc<T>> load(const T* p, Full) {
  return load(p);
}
template <class T>
inline void store(T* p, Vec<Acc<T>> v, Full) {
  store(p, v);
}

// Prefetches `size` values from `offset` on. The memory need not exist.
template <class T>
inline void fetch(const T* p, int64_t offset, int64_t size) {
  const auto place = reinterpret_cast<uintptr_t>(p) + offset * sizeof(T);
  for (int64_t byte = 0; byte < size * static_cast<int64_t>(sizeof(T)); byte += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(place + byte));
}

// Calls f(column, lanes) for kLanes columns at a time, then for the rest of them. `lanes` is a compile-time constant but in the
// last call, so that full vectors are loaded and stored without masks.
template <class F>
inline void over(int64_t cols, F&& f) {
  int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) f(c, Full());
  if (c < cols) f(c, cols - c);
}

// How many neighbouring vectors a pass down the rows takes at once: 256 bytes of each row, but at most eight vectors. Prefetchers follow
// several consecutive cache lines of each row, but not a single one: this reads memory up to twice as fast.
template <class T>
constexpr int kAbreast = 256 / (kLanes * sizeof(T)) < 8 ? 256 / (kLanes * sizeof(T)) : 8;

// Calls f(column, lanes, count) for `most` vectors of kLanes columns at a time, then for half as many, down to one. `count` is a
// compile-time constant.
template <int most, class F>
inline void abreast(int64_t cols, F&& f) {
  if constexpr (most == 1) {
    over(cols, [&](int64_t c, auto n) { f(c, n, std::integral_constant<int, 1>()); });
  } else {
    int64_t c = 0;
    for (; c + most * kLanes <= cols; c += most * kLanes) f(c, Full(), std::integral_constant<int, most>());
    abreast<most / 2>(cols - c, [&](int64_t rest, auto n, auto count) { f(c + rest, n, count); });
  }
}

// Neighbouring vectors of a row.
template <class A, int count>
struct Vectors {
  Vec<A> at[count] = {};
  Vec<A>& operator[](int i) { return at[i]; }
  const Vec<A>& operator[](int i) const { return at[i]; }
};

template <class T, class N, int count>
inline Vectors<Acc<T>, count> load(const T* p, N n, std::integral_constant<int, count>) {
  Vectors<Acc<T>, count> v;
  for (int i = 0; i < count; ++i) v[i] = load(p + i * kLanes, n);
  return v;
}
template <class T, class A, class N, int count>
inline void store(T* p, const Vectors<A, count>& v, N n) {
  for (int i = 0; i < count; ++i) store(p + i * kLanes, v[i], n);
}

// where `mask` is all ones: a, else b
template <class A, class M>
inline Vec<A> choose(M mask, Vec<A> a, Vec<A> b) {
  return mask ? a : b;
}

inline Vec<double> exponential(Vec<double> x) {
  Vec<double> y;
  for (int i = 0; i < kLanes; ++i) y[i] = std::exp(x[i]);
  return y;
}

// Cody and Waite's reduction and a polynomial of degree 7: within 2 units of the last place.
inline Vec<float> exponential(Vec<float> x) {
  const Vec<float> zero = {};
  x = choose<float>(x < -87.0f, zero - 87.0f, x);
  x = choose<float>(x > 88.0f, zero + 88.0f, x);
  const Vec<float> scaled = x * 1.44269504088896341f;
  const I32 whole = __builtin_convertvector(scaled + choose<float>(scaled < 0, zero - 0.5f, zero + 0.5f), I32);
  const Vec<float> n = __builtin_convertvector(whole, Vec<float>);
  const Vec<float> r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec<float> p = zero + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const I32 power = (whole + 127) << 23;
  return p * (Vec<float>)power;
}

inline Vec<double> reciprocal(Vec<double> x) { return 1 / x; }

inline Vec<float> reciprocal(Vec<float> x) {
#if defined(__AVX512F__)
  // An estimate of 14 bits and one step of Newton's method: a division takes several times as long.
  const Vec<float> r = (Vec<float>)_mm512_rcp14_ps((__m512)x);
  return r * (2.0f - x * r);
#else
  return 1 / x;
#endif
}

// 1 / (1 + exp(-x)), as exact as T can represent.
template <class T>
inline Vec<Acc<T>> sigmoid(Vec<Acc<T>> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 2) {
    // Within 2^-13, where bfloat16 has 8 bits: 2^n by the exponent, 2^f by Taylor's polynomial.
    const __m512 bound = _mm512_set1_ps(126.0f), scaled = (__m512)(x * -1.44269504f);
    const __m512 t = _mm512_min_ps(bound, _mm512_max_ps(_mm512_set1_ps(-126.0f), scaled));
    const __m512 whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Vec<float> f = (Vec<float>)_mm512_sub_ps(t, whole);
    const Vec<float> p = (((f * 9.618129e-3f + 5.550411e-2f) * f + 0.24022651f) * f + 0.69314718f) * f + 1.0f;
    return (Vec<float>)_mm512_rcp14_ps((__m512)((Vec<float>)_mm512_scalef_ps((__m512)p, whole) + 1.0f));
  }
#endif
  return reciprocal(exponential(-x) + 1);
}

}  // namespace
}  // namespace strata
