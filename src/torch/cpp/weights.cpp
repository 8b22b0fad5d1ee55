#include "weights.h"

namespace strata {

Tensor KeptWeights::get(const Key& key, const Tensor& weight, const std::function<Tensor()>& make) {
  if (users_ == 0 || !weight.requires_grad() || !weight.is_leaf()) return make();
  Entry& entry = kept_[key];
  const Entry now{weight, {}, weight._version(), weight.const_data_ptr(), weight.sizes().vec()};
  if (!entry.packed.defined() || !entry.is_of(now)) entry = now, entry.packed = make();
  return entry.packed;
}

KeptWeights& kept_weights() {
  thread_local KeptWeights kept;
  return kept;
}

}  // namespace strata

// Weights that this thread packs between the two are kept.
extern "C" void strata_keep_weights() noexcept { strata::kept_weights().begin(); }
extern "C" void strata_forget_weights() noexcept { strata::kept_weights().end(); }
