// Maximum over windows, channels last, and which tap it was, in a byte (libtorch keeps an int64).
//
// The backward pass goes by input pixels and adds up the windows over each that name it, rather than by windows: every input
// is written once, with no zeroing pass before and no two windows that add to one place.

#include "parts.h"
#include "vectors.h"
#include "windows.h"

namespace strata {
namespace {

typedef uint8_t U8 __attribute__((vector_size(kLanes)));

template <class A>
using Mask = decltype(Vec<A>{} > Vec<A>{});

#if defined(__AVX512BW__) && defined(__AVX512VL__)
// bfloat16 as integers in the same order, 32 at a time; NaN is the largest, whatever its sign.
inline __m512i order(__m512i bits) {
  const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi16(0x7fff));
  const __m512i key = _mm512_xor_si512(bits, _mm512_srli_epi16(_mm512_srai_epi16(bits, 15), 1));
  const __mmask32 nan = _mm512_cmpgt_epi16_mask(magnitude, _mm512_set1_epi16(0x7f80));
  return _mm512_mask_mov_epi16(key, nan, _mm512_set1_epi16(0x7fff));
}

// Integers compare 32 lanes at a time, where conversion to float would leave 16.
inline void max_pool_wide(const bf16* x, const Pool& p, bf16* y, uint8_t* tap) {
  for (int64_t oy = 0; oy < p.oh; ++oy)
    for (int64_t ox = 0; ox < p.ow; ++ox) {
      const int64_t top = oy * p.stride_h - p.top, left = ox * p.stride_w - p.left;
      const Span rows(top, p.kernel_h, p.h), cols(left, p.kernel_w, p.w);
      for (int64_t c = 0; c < p.cols; c += 32) {
        const __mmask32 lanes = p.cols - c >= 32 ? ~__mmask32(0) : (__mmask32(1) << (p.cols - c)) - 1;
        __m512i best = _mm512_setzero_si512(), bits = best, where = best;
        bool first = true;
        for (int64_t ky = rows.begin; ky < rows.end; ++ky)
          for (int64_t kx = cols.begin; kx < cols.end; ++kx) {
            const __m512i v = _mm512_maskz_loadu_epi16(lanes, x + ((top + ky) * p.w + left + kx) * p.cols + c);
            const __m512i key = order(v), index = _mm512_set1_epi16(static_cast<short>(ky * p.kernel_w + kx));
            const __mmask32 more = first ? ~__mmask32(0) : _mm512_cmpgt_epi16_mask(key, best);
            best = _mm512_mask_mov_epi16(best, more, key);
            bits = _mm512_mask_mov_epi16(bits, more, v);
            where = _mm512_mask_mov_epi16(where, more, index);
            first = false;
          }
        const int64_t at = (oy * p.ow + ox) * p.cols + c;
        _mm512_mask_storeu_epi16(y + at, lanes, bits);
        _mm256_mask_storeu_epi8(tap + at, lanes, _mm512_cvtepi16_epi8(where));
      }
    }
}

inline void max_pool_backward_wide(const bf16* dy, const uint8_t* tap, const Pool& p, bf16* dx) {
  for (int64_t iy = 0; iy < p.h; ++iy)
    for (int64_t ix = 0; ix < p.w; ++ix) {
      const Covers covers(p, iy, ix);
      for (int64_t c = 0; c < p.cols; c += 32) {
        const __mmask32 lanes = p.cols - c >= 32 ? ~__mmask32(0) : (__mmask32(1) << (p.cols - c)) - 1;
        __m512 low = _mm512_setzero_ps(), high = low;
        for (int i = 0; i < covers.count; ++i) {
          const int64_t at = covers.pixel[i] * p.cols + c;
          const __mmask32 mine = _mm256_mask_cmpeq_epi8_mask(lanes, _mm256_maskz_loadu_epi8(lanes, tap + at),
                                                             _mm256_set1_epi8(static_cast<char>(covers.tap[i])));
          const __m512i g = _mm512_maskz_loadu_epi16(mine, dy + at);
          low = _mm512_add_ps(low, (__m512)widen((U16)_mm512_castsi512_si256(g)));
          high = _mm512_add_ps(high, (__m512)widen((U16)_mm512_extracti64x4_epi64(g, 1)));
        }
        const __m512i out = _mm512_inserti64x4(_mm512_castsi256_si512((__m256i)narrow((Vec<float>)low)),
                                               (__m256i)narrow((Vec<float>)high), 1);
        _mm512_mask_storeu_epi16(dx + (iy * p.w + ix) * p.cols + c, lanes, out);
      }
    }
}
#define STRATA_WIDE_POOL 1
#endif

template <class T>
void max_pool(const T* x, const Pool& p, T* y, uint8_t* tap) {
#ifdef STRATA_WIDE_POOL
  if constexpr (sizeof(T) == 2) return max_pool_wide(x, p, y, tap);
#endif
  using A = Acc<T>;
  for (int64_t oy = 0; oy < p.oh; ++oy)
    for (int64_t ox = 0; ox < p.ow; ++ox)
      over(p.cols, [&](int64_t c, auto n) {
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
      });
}

template <class T>
void max_pool_backward(const T* dy, const uint8_t* tap, const Pool& p, T* dx) {
#ifdef STRATA_WIDE_POOL
  if constexpr (sizeof(T) == 2) return max_pool_backward_wide(dy, tap, p, dx);
#endif
  using A = Acc<T>;
  for (int64_t iy = 0; iy < p.h; ++iy)
    for (int64_t ix = 0; ix < p.w; ++ix) {
      const Covers covers(p, iy, ix);
      over(p.cols, [&](int64_t c, auto n) {
        Vec<A> sum = {};
        for (int i = 0; i < covers.count; ++i) {
          const int64_t at = covers.pixel[i] * p.cols + c;
          U8 bytes = {};
          std::memcpy(&bytes, tap + at, n);
          const Mask<A> mine = __builtin_convertvector(bytes, Mask<A>) == covers.tap[i];
          sum += choose<A>(mine, load(dy + at, n), Vec<A>{});
        }
        store(dx + (iy * p.w + ix) * p.cols + c, sum, n);
      });
    }
}

}  // namespace

template <class T>
void STRATA_ISA::pool_kernels(Kernels<T>& table) {
  table.max_pool = max_pool<T>;
  table.max_pool_backward = max_pool_backward<T>;
}
STRATA_INSTANTIATE(pool_kernels)

}  // namespace strata
