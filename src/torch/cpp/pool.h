// The window of an operation that handles every channel by itself: pooling, depthwise convolution.

#pragma once

#include "maps.h"

namespace strata {

// A window over one image of `x`, checked: at most 256 taps, which a byte tells apart.
Pool pool_window(const Pixels& x, int64_t kernel_h, int64_t kernel_w, const StrataWindow& window);

}  // namespace strata
