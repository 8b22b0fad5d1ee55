// The kernels for this processor. They are compiled once for each instruction set, see build.rs.

#include <ATen/Version.h>

#include <cstring>
#include <string>

#include "kernels/kernels.h"
#include "kernels/pictures.h"

namespace strata {

#define STRATA_DECLARE(ISA)                            \
  namespace ISA {                                      \
  template <class T>                                   \
  Kernels<T> table();                                  \
  extern template Kernels<bf16> table<bf16>();         \
  extern template Kernels<float> table<float>();       \
  extern template Kernels<double> table<double>();     \
  PictureKernels picture_table();                      \
  }
STRATA_DECLARE(baseline)
STRATA_DECLARE(avx2)
STRATA_DECLARE(avx512)
#undef STRATA_DECLARE

#if defined(__x86_64__)
// No more than ATEN_CPU_CAPABILITY allows, as in libtorch: tests run the lower sets on any processor.
static bool allowed(const char* set) {
  const std::string capability = at::get_cpu_capability();
  return capability != "DEFAULT" && (capability != "AVX2" || std::strcmp(set, "avx2") == 0);
}
#endif

// The best set for this processor: 2 for AVX-512, 1 for AVX2, 0.
static int set() {
#if defined(__x86_64__)
  if (allowed("avx512") && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl")) return 2;
  if (allowed("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

template <class T>
static Kernels<T> choose() {
  const int best = set();
  return best == 2 ? avx512::table<T>() : best == 1 ? avx2::table<T>() : baseline::table<T>();
}

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T> best = choose<T>();
  return best;
}
template const Kernels<bf16>& kernels();
template const Kernels<float>& kernels();
template const Kernels<double>& kernels();

const PictureKernels& picture_kernels() {
  static const int best = set();
  static const PictureKernels table = best == 2   ? avx512::picture_table()
                                      : best == 1 ? avx2::picture_table()
                                                  : baseline::picture_table();
  return table;
}

}  // namespace strata

// The number of a non-linearity by its name, -1 where kernels have none. For the test that holds Rust's numbers to these.
extern "C" int strata_activation(const char* name) noexcept {
  for (int act = 0; act < strata::kActivationCount; ++act)
    if (std::strcmp(name, strata::kActivations[act].name) == 0) return act;
  return -1;
}
