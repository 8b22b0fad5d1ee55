// The table of one instruction set.

#include "parts.h"

namespace strata::STRATA_ISA {

template <class T>
Kernels<T> table() {
  Kernels<T> all{};
  layout_kernels(all);
  norm_kernels(all);
  gate_kernels(all);
  dropout_kernels(all);
  pool_kernels(all);
  lrn_kernels(all);
  depthwise_kernels(all);
  winograd_kernels(all);
  product_kernels(all);
  return all;
}
template Kernels<bf16> table();
template Kernels<float> table();
template Kernels<double> table();

}  // namespace strata::STRATA_ISA
