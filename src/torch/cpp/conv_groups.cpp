#include "conv_groups.h"

namespace strata {
namespace {

// Channels that a slice has at least, if there are so many: a vector of AVX-512, two of AVX2. From so many on Winograd's
// algorithm pays, too.
constexpr int64_t kFewest = 16;

int64_t groups_of_slice(const Shape& s) {
  const int64_t in = s.in / s.groups, out = s.out / s.groups;
  int64_t groups = 1;
  // Products of bfloat16 take outputs in pairs.
  while (groups < s.groups && (s.groups % groups > 0 || groups * std::min(in, out) < kFewest || groups * out % 2 > 0)) ++groups;
  return groups;
}

}  // namespace

Slices::Slices(const Shape& s)
    : count(s.groups / groups_of_slice(s)), groups(s.groups / count), shape(s), in(s.in / s.groups), out(s.out / s.groups) {
  shape.in = groups * in, shape.out = groups * out, shape.groups = 1;
}

}  // namespace strata
