#include "autograd.h"

#include <torch/csrc/autograd/custom_function.h>

#include "check.h"

namespace strata {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A backward pass in the context of libtorch's node, which holds IValues.
struct Held : torch::CustomClassHolder {
  Backward backward;
  std::vector<bool> defined;  // the inputs that there are
};

struct Operation : torch::autograd::Function<Operation> {
  static variable_list forward(AutogradContext* context, at::TensorList, const std::vector<bool>& defined,
                               const std::function<Forward()>& run) {
    Forward made = run();
    context->save_for_backward(std::move(made.saved));
    context->set_materialize_grads(made.zeros_for_unused);
    auto held = c10::make_intrusive<Held>();
    held->backward = std::move(made.backward);
    held->defined = defined;
    context->saved_data["held"] = c10::IValue::make_capsule(std::move(held));
    return std::move(made.outputs);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    require_first_order();
    const auto capsule = context->saved_data["held"].toCapsule();
    const auto& held = static_cast<const Held&>(*capsule);
    std::vector<bool> wanted;
    size_t edge = 0;
    for (const bool defined : held.defined) wanted.push_back(defined && context->needs_input_grad(edge++));
    const variable_list saved = context->get_saved_variables();
    const Tensors all = held.backward(Gradients(saved, grads, wanted));
    variable_list given;
    for (size_t input = 0; input < wanted.size(); ++input)
      if (held.defined[input]) given.push_back(all.at(input));
    given.resize(given.size() + 2);  // for the other two arguments of `forward`
    return given;
  }
};

Tensors differentiable(const Tensors& inputs, const std::function<Forward()>& forward) {
  Tensors present;
  std::vector<bool> defined;
  for (const Tensor& input : inputs) {
    defined.push_back(input.defined());
    if (input.defined()) present.push_back(input);
  }
  return Operation::apply(at::TensorList(present), defined, forward);
}

}  // namespace strata
