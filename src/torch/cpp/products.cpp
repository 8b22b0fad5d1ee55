#include "products.h"

#include <ATen/Version.h>
#include <ATen/native/CPUBlas.h>

#include <exception>
#include <type_traits>

namespace strata {
namespace {

void brgemm(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const bf16* a, const bf16* b,
            float* c) {
  at::native::cpublas::brgemm(m, n, k, ld_a, ld_b, ld_c, add, reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b), c, true);
}

void brgemm(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const float* a, const float* b,
            float* c) {
  at::native::cpublas::brgemm(m, n, k, ld_a, ld_b, ld_c, add, a, b, c, false);
}

bf16 number(float value, bf16) { return bf16{c10::BFloat16(value).x}; }
float number(float value, float) { return value; }

// Whether oneDNN generates products of this kind for the processor, and they do what is expected of them. In float, libtorch
// takes a general product where it does not: that is for AVX-512.
template <class T>
bool has_brgemm() {
#if defined(__x86_64__)
  if (std::is_same_v<T, float> && (!__builtin_cpu_supports("avx512f") || at::get_cpu_capability() != "AVX512")) return false;
  try {
    const Products products;
    // [1 2] · [[1 …], [3 …]] = 7, with the right operand as kernels.h says.
    T a[2], b[32];
    for (int i = 0; i < 32; ++i) b[i] = number(kPair<T> == 2 ? (i % 2 ? 3 : 1) : (i < 16 ? 1 : 3), T{});
    a[0] = number(1, T{}), a[1] = number(2, T{});
    float c[16] = {};
    brgemm(1, 16, 2, 2, 16, 16, false, a, b, c);
    return c[0] == 7 && c[15] == 7;
  } catch (const std::exception&) {
  }
#endif
  return false;
}

}  // namespace

template <class T>
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const T* a, const T* b,
             Acc<T>* c) {
  const int64_t depth = k + k % kPair<T>;
  if constexpr (!std::is_same_v<T, double>) {
    static const bool generated = has_brgemm<T>();
    if (generated) return brgemm(m, n, depth, ld_a, ld_b, ld_c, add, a, b, c);
  }
  kernels<T>().product(m, n, depth, ld_a, ld_b, ld_c, add, a, b, c);
}
#define STRATA_PRODUCT(T)                                                                                              \
  template void product(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, bool, const T*, const T*, Acc<T>*);
STRATA_PRODUCT(bf16)
STRATA_PRODUCT(float)
STRATA_PRODUCT(double)

Products::~Products() { at::native::cpublas::brgemm_release(); }

}  // namespace strata
