// The parts of the table of kernels. Each comes from a unit of its own, which is compiled once for each instruction set with
// the set's name as STRATA_ISA. Only these functions leave a unit; all else is in unnamed namespaces, because a function of
// one name compiled for two sets would be merged by the linker, and one processor would run the other's.

#pragma once

#include "kernels.h"

namespace strata::STRATA_ISA {

template <class T>
void layout_kernels(Kernels<T>& table);
template <class T>
void norm_kernels(Kernels<T>& table);
template <class T>
void gate_kernels(Kernels<T>& table);
template <class T>
void dropout_kernels(Kernels<T>& table);
template <class T>
void pool_kernels(Kernels<T>& table);
template <class T>
void lrn_kernels(Kernels<T>& table);
template <class T>
void depthwise_kernels(Kernels<T>& table);
template <class T>
void winograd_kernels(Kernels<T>& table);
template <class T>
void product_kernels(Kernels<T>& table);

}  // namespace strata::STRATA_ISA

#define STRATA_INSTANTIATE(PART)                          \
  template void STRATA_ISA::PART(Kernels<bf16>& table);   \
  template void STRATA_ISA::PART(Kernels<float>& table);  \
  template void STRATA_ISA::PART(Kernels<double>& table);
