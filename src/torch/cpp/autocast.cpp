// Autocast of this thread. The one unit with its header, which takes ten seconds.

#include <ATen/autocast_mode.h>

#include "maps.h"

namespace strata {

at::ScalarType activation_kind(const Tensor& x) {
  const bool autocast = at::autocast::is_autocast_enabled(at::kCPU) && x.scalar_type() != at::kDouble;
  return autocast ? at::autocast::get_autocast_dtype(at::kCPU) : x.scalar_type();
}

}  // namespace strata

using namespace strata;

extern "C" {

char* strata_autocast_enter(int device, int half, StrataAutocast* former) {
  return guarded([&] {
    const auto type = device_of(device).type();
    former->enabled = at::autocast::is_autocast_enabled(type);
    former->dtype = static_cast<int32_t>(at::autocast::get_autocast_dtype(type));
    former->cache = at::autocast::is_autocast_cache_enabled();
    at::autocast::set_autocast_enabled(type, true);
    at::autocast::set_autocast_dtype(type, half != 0 ? at::kHalf : at::kBFloat16);
    at::autocast::set_autocast_cache_enabled(true);
    at::autocast::increment_nesting();
  });
}

char* strata_autocast_exit(int device, StrataAutocast former) {
  return guarded([&] {
    const auto type = device_of(device).type();
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type, former.enabled != 0);
    at::autocast::set_autocast_dtype(type, static_cast<at::ScalarType>(former.dtype));
    at::autocast::set_autocast_cache_enabled(former.cache != 0);
  });
}

}  // extern "C"
