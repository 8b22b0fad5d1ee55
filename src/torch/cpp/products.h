// Matrix products, and what processors with tiles need around them.

#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace strata {

// C (+)= A · B, with B interleaved (kernels.h): oneDNN's, generated for the processor, where it has them, else our own.
template <class T>
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const T* a, const T* b,
             Acc<T>* c);

// The extent of a thread's products. Processors with tiles (AMX) keep them configured for one kind of product; other code of
// oneDNN releases them without telling brgemm, which must therefore start over. Elsewhere this costs nothing.
struct Products {
  Products() = default;
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
  ~Products();
};

}  // namespace strata
