// The kernels for this processor. They are compiled once for each instruction set, see build.rs.

#include <ATen/Version.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/kernels.h"
#include "kernels/pictures.h"

namespace strata {

namespace {

// The instruction sets that the kernels are compiled for, best last.
enum class Set { Baseline, Avx2, Avx512, Avx512Bf16 };

// Whether ONEDNN_MAX_CPU_ISA keeps oneDNN from bfloat16 instructions, where libtorch's variable knows AVX-512 as a whole.
bool without_bf16() {
  const char* most = std::getenv("ONEDNN_MAX_CPU_ISA");
  return most && (std::strcmp(most, "AVX512_CORE") == 0 || std::strcmp(most, "AVX512_CORE_VNNI") == 0);
}

// The best set for this processor, and no better one than ATEN_CPU_CAPABILITY allows, as in libtorch: tests run the lower sets
// on any processor.
Set best_set() {
#if defined(__x86_64__)
  const std::string allowed = at::get_cpu_capability();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vl");
  if (allowed == "DEFAULT" || !avx2) return Set::Baseline;
  if (allowed == "AVX2" || !avx512) return Set::Avx2;
  return __builtin_cpu_supports("avx512bf16") && !without_bf16() ? Set::Avx512Bf16 : Set::Avx512;
#else
  return Set::Baseline;
#endif
}

}  // namespace

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
STRATA_DECLARE(avx512_bf16)
#undef STRATA_DECLARE

#define STRATA_BEST(TABLE)                             \
  switch (best_set()) {                                \
    case Set::Avx512Bf16: return avx512_bf16::TABLE(); \
    case Set::Avx512: return avx512::TABLE();          \
    case Set::Avx2: return avx2::TABLE();              \
    default: return baseline::TABLE();                 \
  }

template <class T>
static Kernels<T> choose() {
  STRATA_BEST(table<T>)
}

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T> best = choose<T>();
  return best;
}
template const Kernels<bf16>& kernels();
template const Kernels<float>& kernels();
template const Kernels<double>& kernels();

// ONEDNN_MAX_CPU_ISA names a set that has AMX, or none.
static bool onednn_may_use_amx() {
  const char* most = std::getenv("ONEDNN_MAX_CPU_ISA");
  return !most || std::strcmp(most, "DEFAULT") == 0 || std::strstr(most, "AMX") || std::strstr(most, "AVX10");
}

bool has_amx() {
#if defined(__x86_64__)
  static const bool has = best_set() == Set::Avx512Bf16 && __builtin_cpu_supports("amx-bf16") && onednn_may_use_amx();
  return has;
#else
  return false;
#endif
}

static PictureKernels choose_pictures() { STRATA_BEST(picture_table) }
#undef STRATA_BEST

const PictureKernels& picture_kernels() {
  static const PictureKernels best = choose_pictures();
  return best;
}

}  // namespace strata

// The number of a non-linearity by its name, -1 where kernels have none. For the test that holds Rust's numbers to these.
extern "C" int strata_activation(const char* name) noexcept {
  for (int act = 0; act < strata::kActivationCount; ++act)
    if (std::strcmp(name, strata::kActivations[act].name) == 0) return act;
  return -1;
}
