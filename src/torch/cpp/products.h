// Matrix products, and what processors with tiles need around them.

#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace strata {

// C (+)= A · B, with B interleaved (kernels.h). The bfloat16 and float forms are oneDNN's, generated for the processor; the
// one for double is a plain loop, for tests of equality only.
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const bf16* a,
             const bf16* b, float* c);
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const float* a,
             const float* b, float* c);
void product(int64_t m, int64_t n, int64_t k, int64_t ld_a, int64_t ld_b, int64_t ld_c, bool add, const double* a,
             const double* b, double* c);

// The extent of a thread's products. Processors with tiles (AMX) keep them configured for one kind of product; other code of
// oneDNN releases them without telling brgemm, which must therefore start over. Elsewhere this costs nothing.
struct Products {
  Products() = default;
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;
  ~Products();
};

}  // namespace strata
