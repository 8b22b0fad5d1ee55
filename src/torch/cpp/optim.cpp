// Optimizer steps over lists of tensors, and moving averages.

#include <ATen/MemoryOverlap.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>  // the grain of parallel loops
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/add.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "weights.h"

namespace strata {
namespace {

// Whether two tensors have one order of elements in memory. Strides of axes of length 1 say nothing.
bool same_layout(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return false;
  for (int64_t axis = 0; axis < a.dim(); ++axis)
    if (a.size(axis) > 1 && a.stride(axis) != b.stride(axis)) return false;
  return true;
}

bool overlap(const Tensor& a, const Tensor& b) { return at::get_overlap_status(a, b) == at::MemOverlapStatus::Partial; }

[[noreturn]] void refuse(size_t index, const char* what) {
  throw std::invalid_argument("parameter " + std::to_string(index) + ": " + what);
}

// The tensors of one optimizer step, as flat lists. Parameters without a gradient are left out, as torch.optim does.
struct Lists {
  Tensors params, grads;
  std::vector<Tensors> states;
};

// The fused CPU kernels walk raw memory from the first element and check nothing, so that a gradient in another memory
// format would silently update the wrong weights. Gradients are copied into the parameter's format, states must be in it.
Lists gather(size_t n, Handles params, Handles grads, size_t states, const Handles* state) {
  kept_weights().forget();  // a step on raw memory changes no version
  Lists step;
  step.params.reserve(n);
  step.grads.reserve(n);
  step.states.resize(states);
  for (size_t i = 0; i < n; ++i) {
    const Tensor& param = *params[i];
    if (!param.defined()) refuse(i, "is undefined");
    if (param.layout() != at::kStrided) refuse(i, "is not dense in memory");
    if (!grads[i]->defined()) continue;
    Tensor grad = *grads[i];
    // libtorch 2.13's fused SGD without momentum leaves full vectors of bfloat16 and half as they are.
    if (param.scalar_type() != at::kFloat && param.scalar_type() != at::kDouble) refuse(i, "is neither float nor double");
    if (!param.is_non_overlapping_and_dense()) refuse(i, "is not dense in memory");
    if (grad.layout() != at::kStrided) refuse(i, "has a sparse gradient");
    if (grad.sizes() != param.sizes()) refuse(i, "has a gradient of another shape");
    if (grad.scalar_type() != param.scalar_type()) refuse(i, "has a gradient of another kind");
    if (grad.device() != param.device()) refuse(i, "has a gradient on another device");
    // One kernel may take the whole list.
    if (!step.params.empty() && param.device() != step.params[0].device()) refuse(i, "is on another device than others");
    if (!param.is_cpu() && !step.params.empty() && param.scalar_type() != step.params[0].scalar_type())
      refuse(i, "is of another kind than others");
    if (!same_layout(grad, param)) {
      const Tensor copy = new_like(param);
      copy.copy_(grad);
      grad = copy;
    }
    // As flat lists: a kernel that finds a tensor not contiguous copies it first.
    const auto flat = [](const Tensor& whole) { return whole.as_strided({whole.numel()}, {1}, whole.storage_offset()); };
    for (size_t slot = 0; slot < states; ++slot) {
      const Tensor& value = *state[slot][i];
      if (!value.defined()) refuse(i, "has an undefined optimizer state");
      if (value.layout() != at::kStrided) refuse(i, "has a sparse optimizer state");
      if (value.scalar_type() != param.scalar_type() || value.device() != param.device() || !same_layout(value, param))
        refuse(i, "has an optimizer state of another shape, kind, device or memory format");
      // Threads that write one another's elements.
      if (overlap(value, param) || overlap(value, grad)) refuse(i, "shares a part of its memory with its optimizer state");
      step.states[slot].push_back(flat(value));
    }
    for (size_t a = 0; a < states; ++a)
      for (size_t b = 0; b < a; ++b)
        if (overlap(step.states[a].back(), step.states[b].back())) refuse(i, "has optimizer states that share memory");
    step.params.push_back(flat(param));
    step.grads.push_back(flat(grad));
  }
  return step;
}

// Averages and what they follow: anything else libtorch would broadcast or convert, or take for a list of one kind.
void require_pairs(size_t n, Handles averages, Handles params) {
  for (size_t i = 0; i < n; ++i) {
    const Tensor &average = *averages[i], &param = *params[i];
    if (!average.defined() || !param.defined()) refuse(i, "or its average is undefined");
    if (average.layout() != at::kStrided || param.layout() != at::kStrided) refuse(i, "or its average is sparse");
    if (!average.is_floating_point()) refuse(i, "has an average that is not floating point");
    if (average.sizes() != param.sizes() || average.scalar_type() != param.scalar_type() ||
        average.device() != param.device())
      refuse(i, "has an average of another shape, kind or device");
    if (average.device() != averages[0]->device()) refuse(i, "is on another device than others");
    if (at::has_internal_overlap(average) == at::MemOverlap::Yes || overlap(average, param))
      refuse(i, "has an average that shares memory");
  }
}

// RMSprop on lists, or on lists of one tensor with room for the gradient and the scale given.
void rmsprop_on(const Tensors& params, const Tensors& grads, const Tensors& squares, const Tensors& buffers, Tensor slope,
                Tensor scale, const StrataStep& by) {
  Tensors slopes, scales;
  if (by.weight_decay == 0.0)
    slopes = grads;
  else if (slope.defined())
    slopes = {at::add_out(slope, grads[0], params[0], by.weight_decay)};
  else
    slopes = at::_foreach_add(grads, params, by.weight_decay);
  at::_foreach_mul_(squares, by.alpha);
  at::_foreach_addcmul_(squares, slopes, slopes, 1.0 - by.alpha);
  scales = scale.defined() ? Tensors{at::sqrt_out(scale, squares[0])} : at::_foreach_sqrt(squares);
  at::_foreach_add_(scales, by.eps);
  if (by.momentum == 0.0) {
    at::_foreach_addcdiv_(params, slopes, scales, -by.lr);
  } else {
    at::_foreach_mul_(buffers, by.momentum);
    at::_foreach_addcdiv_(buffers, slopes, scales);
    at::_foreach_add_(params, buffers, -by.lr);
  }
}

// One step of RMSprop.
void rmsprop(const Lists& step, const StrataStep& by) {
  const Tensors none;
  const bool plain = by.momentum == 0.0;
  const Tensors& buffer_list = plain ? none : step.states[1];
  if (!step.params[0].is_cpu()) return rmsprop_on(step.params, step.grads, step.states[0], buffer_list, {}, {}, by);
  // On CPU each operation is a pass over memory, and fresh temporaries cost more than the arithmetic: the lists are processed
  // by pieces that stay in the cache, of one parallel grain a thread.
  const int64_t piece = at::internal::GRAIN_SIZE * at::get_num_threads();
  Tensor slope, scale;
  for (size_t i = 0; i < step.params.size(); ++i) {
    const int64_t size = step.params[i].numel();
    if (!slope.defined() || slope.scalar_type() != step.params[i].scalar_type()) {
      slope = new_tensor({piece}, step.params[i].scalar_type());
      scale = new_tensor({piece}, step.params[i].scalar_type());
    }
    for (int64_t start = 0; start < size; start += piece) {
      const int64_t length = std::min(piece, size - start);
      // All lists have one memory order (see gather), so that any piece of memory is a piece of each.
      const auto part = [&](const Tensor& whole) {
        return Tensors{whole.as_strided({length}, {1}, whole.storage_offset() + start)};
      };
      rmsprop_on(part(step.params[i]), part(step.grads[i]), part(step.states[0][i]),
                 plain ? none : part(buffer_list[i]), slope.narrow(0, 0, length), scale.narrow(0, 0, length), by);
    }
  }
}

void sgd(const Lists& step, const StrataStep& by) {
  const Tensors& momenta = by.momentum == 0.0 ? Tensors{} : step.states[0];
  at::_fused_sgd_(step.params, step.grads, momenta, by.weight_decay, by.momentum, by.lr, /*dampening=*/0.0, by.nesterov != 0,
                  /*maximize=*/false, by.first != 0);
}

void adam(const Lists& step, const StrataStep& by, bool decoupled) {
  // The kernels only read the step count, so that all parameters can share one.
  const Tensor count = at::full({}, static_cast<double>(by.step), step.params[0].options().dtype(at::kFloat));
  const Tensors counts(step.params.size(), count);
  if (decoupled)
    at::_fused_adamw_(step.params, step.grads, step.states[0], step.states[1], {}, counts, by.lr, by.beta1, by.beta2,
                      by.weight_decay, by.eps, /*amsgrad=*/false, /*maximize=*/false);
  else
    at::_fused_adam_(step.params, step.grads, step.states[0], step.states[1], {}, counts, by.lr, by.beta1, by.beta2,
                     by.weight_decay, by.eps, /*amsgrad=*/false, /*maximize=*/false);
}

void lamb(const Lists& step, const StrataStep& by) {
  const Tensors &means = step.states[0], &squares = step.states[1];
  at::_foreach_lerp_(means, step.grads, 1.0 - by.beta1);
  at::_foreach_mul_(squares, by.beta2);
  at::_foreach_addcmul_(squares, step.grads, step.grads, 1.0 - by.beta2);
  const double count = static_cast<double>(by.step);
  const double mean_bias = 1.0 - std::pow(by.beta1, count), square_bias = 1.0 - std::pow(by.beta2, count);
  Tensors scales = at::_foreach_sqrt(squares);
  at::_foreach_div_(scales, std::sqrt(square_bias));
  at::_foreach_add_(scales, by.eps);
  Tensors updates = at::_foreach_div(means, mean_bias);
  at::_foreach_div_(updates, scales);
  if (by.weight_decay != 0.0) at::_foreach_add_(updates, step.params, by.weight_decay);
  if (by.adapt != 0) {
    const Tensors weights = at::_foreach_norm(step.params), sizes = at::_foreach_norm(updates);
    Tensors ratios = at::_foreach_div(weights, sizes);
    for (size_t i = 0; i < ratios.size(); ++i)
      ratios[i] = at::where(weights[i].gt(0).logical_and(sizes[i].gt(0)), ratios[i], at::ones_like(ratios[i]));
    at::_foreach_mul_(updates, ratios);
  }
  at::_foreach_add_(step.params, updates, -by.lr);
}

void lion(const Lists& step, const StrataStep& by) {
  const Tensors& means = step.states[0];
  Tensors updates = at::_foreach_lerp(means, step.grads, 1.0 - by.beta1);
  at::_foreach_sign_(updates);
  at::_foreach_mul_(step.params, 1.0 - by.lr * by.weight_decay);
  at::_foreach_add_(step.params, updates, -by.lr);
  at::_foreach_lerp_(means, step.grads, 1.0 - by.beta2);
}

enum Kind : int { kSgd = 0, kAdam = 1, kAdamw = 2, kRmsprop = 3, kLamb = 4, kLion = 5 };  // StepKind in optim.rs

}  // namespace
}  // namespace strata

using namespace strata;

// One step of the optimizer `kind`. `state` is `states` lists of `n` tensors, as many as optim.rs says that the kind needs.
extern "C" char* strata_optimizer_step(int kind, size_t n, Handles params, Handles grads, size_t states,
                                       const Handles* state, const StrataStep* by) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const Lists step = gather(n, params, grads, states, state);
    if (step.params.empty()) return;
    switch (kind) {
      case kSgd: return sgd(step, *by);
      case kAdam: return adam(step, *by, false);
      case kAdamw: return adam(step, *by, true);
      case kRmsprop: return rmsprop(step, *by);
      case kLamb: return lamb(step, *by);
      case kLion: return lion(step, *by);
      default: TORCH_CHECK(false, "there is no optimizer ", kind);
    }
  });
}

extern "C" char* strata_ema_update(size_t n, Handles averages, Handles params, double decay) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    require_pairs(n, averages, params);
    if (n > 0) at::_foreach_lerp_(list_of(averages, n), list_of(params, n), 1.0 - decay);
  });
}
