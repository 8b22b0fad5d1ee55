// Sums over the ranks of a run: of gradients, and within an operation, for batch normalisation over the whole batch.

#pragma once

#include <functional>
#include <memory>

#include "base.h"

namespace strata {

class Group;
using SharedGroup = std::shared_ptr<Group>;

// Null where the handle is.
SharedGroup shared(StrataGroup* handle);

// Replaces a dense tensor by the sum over all ranks.
void sum(Group& group, const Tensor& tensor);

// Waits for an operation that was begun; throws where it failed.
using Wait = std::function<void()>;

// Begins to replace a contiguous tensor by the sum over all ranks. All ranks begin their sums in the same order, after
// `connect_background`, independently of the other operations.
Wait begin_sum(Group& group, const Tensor& tensor);

// Connects the ranks for `begin_sum`, once: all ranks call it.
void connect_background(Group& group);

// The tensors of all ranks, in the order of ranks.
Tensors gather(Group& group, const Tensor& tensor);

// Whether what this rank computes stands for no image: it computes along because every rank takes part in every operation.
bool is_idle(const Group& group);

}  // namespace strata
