// The affine form of batch normalisation with running statistics.

#pragma once

#include "base.h"

namespace strata {

// What the normalisation after a convolution with this bias does to its sums in evaluation: x · scale + shift, as [2, C].
Tensor running_affine(const StrataNorm& norm, const std::optional<Tensor>& bias);

}  // namespace strata
