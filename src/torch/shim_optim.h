// Optimizer steps over lists of tensors. Included by shim.cpp alone.

#pragma once

#include <ATen/MemoryOverlap.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "shim_packed.h"

namespace {

// The same element order in memory. Strides of axes of length 1 say nothing.
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

// The tensors of one optimizer step. Parameters without a gradient are left out, as torch.optim does.
struct Step {
  Tensors params, grads;
  std::vector<Tensors> states;
};

// The fused CPU kernels walk raw memory from the first element and check nothing, so that a gradient in another memory
// format would silently update the wrong weights. Gradients are copied into the parameter's format, states must be in it.
Step gather(size_t n, Handles params, Handles grads, std::initializer_list<Handles> states) {
  kept_weights.forget();  // a step by raw memory tells nobody
  Step step;
  step.params.reserve(n);
  step.grads.reserve(n);
  step.states.resize(states.size());
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
      Tensor copy = at::empty_like(param);
      copy.copy_(grad);
      grad = copy;
    }
    // As flat lists: a kernel that finds a tensor not contiguous copies it first.
    const auto flat = [](const Tensor& whole) { return whole.as_strided({whole.numel()}, {1}, whole.storage_offset()); };
    size_t slot = 0;
    for (Handles state : states) {
      const Tensor& value = *state[i];
      if (!value.defined()) refuse(i, "has an undefined optimizer state");
      if (value.layout() != at::kStrided) refuse(i, "has a sparse optimizer state");
      if (value.scalar_type() != param.scalar_type() || value.device() != param.device() || !same_layout(value, param))
        refuse(i, "has an optimizer state of another shape, kind, device or memory format");
      // Threads that write one another's elements.
      if (overlap(value, param) || overlap(value, grad)) refuse(i, "shares a part of its memory with its optimizer state");
      step.states[slot++].push_back(flat(value));
    }
    for (size_t a = 0; a < states.size(); ++a)
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
void rmsprop_on(const Tensors& params, const Tensors& grads, const Tensors& squares, const Tensors& buffers,
                Tensor slope, Tensor scale, double lr, double alpha, double eps, double weight_decay, double momentum) {
  Tensors slopes, scales;
  if (weight_decay == 0.0)
    slopes = grads;
  else if (slope.defined())
    slopes = {at::add_out(slope, grads[0], params[0], weight_decay)};
  else
    slopes = at::_foreach_add(grads, params, weight_decay);
  at::_foreach_mul_(squares, alpha);
  at::_foreach_addcmul_(squares, slopes, slopes, 1.0 - alpha);
  scales = scale.defined() ? Tensors{at::sqrt_out(scale, squares[0])} : at::_foreach_sqrt(squares);
  at::_foreach_add_(scales, eps);
  if (momentum == 0.0) {
    at::_foreach_addcdiv_(params, slopes, scales, -lr);
  } else {
    at::_foreach_mul_(buffers, momentum);
    at::_foreach_addcdiv_(buffers, slopes, scales);
    at::_foreach_add_(params, buffers, -lr);
  }
}

// One step of RMSprop.
void rmsprop(const Step& step, double lr, double alpha, double eps, double weight_decay, double momentum) {
  const Tensors none;
  const bool plain = momentum == 0.0;
  const Tensors& buffer_list = plain ? none : step.states[1];
  if (!step.params[0].is_cpu()) {
    rmsprop_on(step.params, step.grads, step.states[0], buffer_list, {}, {}, lr, alpha, eps, weight_decay, momentum);
    return;
  }
  // On CPU each op is a pass over memory, and fresh temporaries cost more than the arithmetic: go by pieces that stay
  // in the cache, of one parallel grain a thread.
  const int64_t piece = at::internal::GRAIN_SIZE * at::get_num_threads();
  Tensor slope, scale;
  for (size_t i = 0; i < step.params.size(); ++i) {
    const int64_t size = step.params[i].numel();
    if (!slope.defined() || slope.scalar_type() != step.params[i].scalar_type()) {
      slope = at::empty({piece}, step.params[i].options());
      scale = at::empty({piece}, step.params[i].options());
    }
    for (int64_t start = 0; start < size; start += piece) {
      const int64_t length = std::min(piece, size - start);
      // All lists have one memory order (see gather), so that any piece of memory is a piece of each.
      const auto part = [&](const Tensor& whole) {
        return Tensors{whole.as_strided({length}, {1}, whole.storage_offset() + start)};
      };
      rmsprop_on(part(step.params[i]), part(step.grads[i]), part(step.states[0][i]),
                 plain ? none : part(buffer_list[i]), slope.narrow(0, 0, length), scale.narrow(0, 0, length), lr, alpha,
                 eps, weight_decay, momentum);
    }
  }
}

}  // namespace
