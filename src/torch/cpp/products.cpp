#include "products.h"

#include <ATen/native/CPUBlas.h>

#include <exception>
#include <type_traits>

#include "maps.h"

namespace strata {

void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const bf16* a,
             const bf16* b, float* c) {
  at::native::cpublas::brgemm(m, n, k + k % 2, ld_a, ld_b, ld_c, add, reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b), c, true);
}

void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const float* a,
             const float* b, float* c) {
  at::native::cpublas::brgemm(m, n, k, ld_a, ld_b, ld_c, add, a, b, c, false);
}

void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const double* a,
             const double* b, double* c) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = add ? c[i * ld_c + j] : 0.0;
      for (int64_t l = 0; l < k; ++l) sum += a[i * ld_a + l] * b[l * ld_b + j];
      c[i * ld_c + j] = sum;
    }
}

Products::~Products() { at::native::cpublas::brgemm_release(); }

template <class T>
static T number(float value) {
  if constexpr (std::is_same_v<T, bf16>)
    return bf16{c10::BFloat16(value).x};
  else
    return value;
}

// Whether oneDNN has products of this kind for the processor, and they do what is expected of them.
template <class T>
static bool has_products() {
  static const bool has = [] {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) return false;
    try {
      const Products products;
      // [1 2] · [[1 …], [3 …]] = 7, with the right operand as kernels.h says.
      T a[2], b[32];
      for (int i = 0; i < 32; ++i) b[i] = number<T>(kPair<T> == 2 ? (i % 2 ? 3 : 1) : (i < 16 ? 1 : 3));
      a[0] = number<T>(1), a[1] = number<T>(2);
      Acc<T> c[16] = {};
      product(1, 16, 2, 2, 16, 16, false, a, b, c);
      return c[0] == 7 && c[15] == 7;
    } catch (const std::exception&) {
    }
#endif
    return false;
  }();
  return has;
}

}  // namespace strata

// Whether convolutions on such a tensor have their products, under autocast or not.
extern "C" char* strata_has_products(const at::Tensor* x, int* has) {
  return strata::guarded([&] {
    switch (strata::activation_kind(*x)) {
      case at::kBFloat16: *has = strata::has_products<strata::bf16>(); return;
      case at::kFloat: *has = strata::has_products<float>(); return;
      default: *has = 1;
    }
  });
}
