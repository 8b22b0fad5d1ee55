// Compiled once for each instruction set, with STRATA_ISA as its name.

#include "kernels.h"

#include <type_traits>

#include "layout.h"
#include "norm.h"
#include "pool.h"
#include "depthwise.h"
#include "lrn.h"
#include "winograd.h"

#define STRATA_JOIN_(a, b) a##b
#define STRATA_JOIN(a, b) STRATA_JOIN_(a, b)

namespace strata {
namespace {

template <class T>
constexpr Kernels<T> table() {
  return {interleave<T, T>,    interleave<T, Acc<T>>, interleave_transposed<T, Acc<T>>,
          transpose<T>,        mask<T>,               finish<T>,
          moments<T>,          affine<T>,             norm_sums<T>,
          norm_input<T>,       max_pool<T>,           max_pool_backward<T>,
          lrn<T>,              lrn_backward<T>,       depthwise<T>,
          depthwise_input<T>,  depthwise_weight<T>,   winograd_input<T>,
          winograd_output<T>,  winograd_weight<Acc<T>>, winograd_whole<T>(),
          gate<T>,             column_sums<T>,        add_column<T>,
          add<T>};
}

}  // namespace

extern const Kernels<bf16> STRATA_JOIN(bf16_, STRATA_ISA);
extern const Kernels<float> STRATA_JOIN(float_, STRATA_ISA);
extern const Kernels<double> STRATA_JOIN(double_, STRATA_ISA);
const Kernels<bf16> STRATA_JOIN(bf16_, STRATA_ISA) = table<bf16>();
const Kernels<float> STRATA_JOIN(float_, STRATA_ISA) = table<float>();
const Kernels<double> STRATA_JOIN(double_, STRATA_ISA) = table<double>();

}  // namespace strata
