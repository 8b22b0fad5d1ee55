// The order of a tensor's elements in memory.

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include "base.h"

using namespace strata;

extern "C" {

char* strata_contiguous(const Tensor* tensor, int channels_last, Tensor** out) {
  return guarded([&] {
    const auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    *out = new Tensor(tensor->contiguous(format));
  });
}

char* strata_set_channels_last(const Tensor* tensor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    TORCH_CHECK(tensor->is_leaf(), "the memory of what was computed cannot be laid out anew");
    tensor->set_data(tensor->contiguous(at::MemoryFormat::ChannelsLast));
  });
}

}  // extern "C"
