// Sums over the ranks of a run within an operation, for batch normalisation over the whole batch.

#pragma once

#include <memory>

#include "base.h"

namespace strata {

class Group;
using SharedGroup = std::shared_ptr<Group>;

// Null where the handle is.
SharedGroup shared(StrataGroup* handle);

// Replaces a dense tensor by the sum over all ranks.
void sum(Group& group, const Tensor& tensor);

// The tensors of all ranks, in the order of ranks.
Tensors gather(Group& group, const Tensor& tensor);

// Whether what this rank computes stands for no image: it computes along because every rank takes part in every operation.
bool is_idle(const Group& group);

}  // namespace strata
