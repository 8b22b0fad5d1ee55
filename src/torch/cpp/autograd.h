// Operations with a backward pass of their own. One torch::autograd::Function serves them all, in autograd.cpp: its header
// takes eight seconds to compile and each further Function several.

#pragma once

#include <functional>

#include "base.h"

namespace strata {

// What a backward pass is given.
class Gradients {
 public:
  Gradients(const Tensors& saved, const Tensors& outputs, const std::vector<bool>& wanted)
      : saved(saved), outputs(outputs), wanted_(wanted) {}

  const Tensors& saved;    // what the forward pass saved
  const Tensors& outputs;  // the gradients of its outputs
  // Whether the gradient of this input is asked for.
  bool wants(size_t input) const { return wanted_[input]; }

 private:
  const std::vector<bool>& wanted_;
};

// The gradients of the inputs, undefined where there is none.
using Backward = std::function<Tensors(const Gradients&)>;

// What a forward pass leaves.
struct Forward {
  Tensors outputs;
  // Inputs and outputs that the backward pass reads. Libtorch keeps them without a cycle; in a closure they would be one.
  Tensors saved;
  Backward backward;
  // Whether the gradient of an output that nobody used is a tensor of zeros, rather than undefined.
  bool zeros_for_unused = true;
};

// Runs `forward` and records it for the gradients of `inputs`, where these are recorded. Undefined inputs stand for none.
Tensors differentiable(const Tensors& inputs, const std::function<Forward()>& forward);

}  // namespace strata
