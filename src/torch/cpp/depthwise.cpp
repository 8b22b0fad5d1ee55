// Depthwise convolutions (MobileNets; Howard et al. 2017), channels last: too few products a value for matrix products, so
// that vectors of channels are multiplied tap by tap.

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include "autograd.h"
#include "check.h"
#include "norm.h"
#include "parallel.h"
#include "pool.h"

namespace strata {
namespace {

struct Kernel {
  int64_t height, width;
  StrataWindow window;
};

void require_taps(const Tensor& weight, int64_t channels, at::ScalarType activations, const Kernel& kernel) {
  require_weight(weight);
  TORCH_CHECK(weight.sizes() == at::IntArrayRef({channels, 1, kernel.height, kernel.width}) &&
                  weight.scalar_type() == sums_kind(activations),
              "a depthwise weight ", weight.sizes(), " of ", weight.scalar_type(), " does not fit ", channels,
              " channels of ", activations, " and a kernel of ", kernel.height, "x", kernel.width);
}

// A weight [C, 1, h, w] as [taps, C].
Tensor by_tap(const Tensor& weight) {
  return weight.reshape({weight.size(0), weight.size(2) * weight.size(3)}).t().contiguous();
}

Tensor convolved(const Pixels& x, const Tensor& taps, const Tensor& shift, int act, const Kernel& kernel) {
  const Pool window = pool_window(x, kernel.height, kernel.width, kernel.window);
  const Tensor y = new_map(x.images, x.channels, window.oh, window.ow, x.tensor.scalar_type());
  with_type(x.tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t in_size = x.height * x.width * x.channels, out_size = window.oh * window.ow * x.channels;
    const T* in = data<T>(x.tensor);
    T* out = mutable_data<T>(y);
    tasks(x.images, [&](int64_t n) {
      kernels<T>().depthwise(in + n * in_size, data<Acc<T>>(taps), data_or_null<Acc<T>>(shift), act, window,
                             out + n * out_size);
    });
  });
  return y;
}

Tensors backward(const Gradients& given, const Kernel& kernel, at::ScalarType input_kind, bool bias) {
  const Pixels x = dense_pixels(given.saved[0]);
  const Tensor& weight = given.saved[1];
  const auto kind = x.tensor.scalar_type();
  const Pixels dy = dense_pixels(given.outputs[0].to(kind));
  const Pool window = pool_window(x, kernel.height, kernel.width, kernel.window);
  require_taps(weight, x.channels, kind, kernel);
  require_alike(dy.tensor, {x.images, x.channels, window.oh, window.ow}, kind);
  const bool wants_input = given.wants(0);
  const Tensor taps = by_tap(weight.detach());
  const int64_t chunks = std::min(kMaxChunks, x.images), size = taps.numel();
  // With stride 1, the gradient of the input is the same convolution with the kernel turned by half a circle.
  const bool turns = window.stride_h == 1 && window.stride_w == 1 && window.top < window.kernel_h &&
                     window.left < window.kernel_w;
  const Tensor turned = turns && wants_input ? taps.flip(0).contiguous() : Tensor();
  const Pool back{window.oh, window.ow, window.h, window.w, window.cols, window.kernel_h, window.kernel_w, 1, 1,
                  window.kernel_h - 1 - window.top, window.kernel_w - 1 - window.left};
  Tensor dx, dw, db;
  if (wants_input) dx = new_map(x.images, x.channels, x.height, x.width, kind);
  const Tensor partial = new_tensor({chunks, size + x.channels}, sums_kind(kind)).zero_();
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    using A = Acc<T>;
    const auto& k = kernels<T>();
    const int64_t in_size = x.height * x.width * x.channels, out_size = window.oh * window.ow * x.channels;
    const T *in = data<T>(x.tensor), *up = data<T>(dy.tensor);
    tasks(chunks, [&](int64_t index) {
      const Chunk chunk(x.images, index, chunks);
      A* sums = mutable_data<A>(partial) + index * (size + x.channels);
      for (int64_t n = chunk.begin; n < chunk.end; ++n) {
        if (turned.defined())
          k.depthwise(up + n * out_size, data<A>(turned), nullptr, kNone, back, mutable_data<T>(dx) + n * in_size);
        else if (wants_input)
          k.depthwise_input(up + n * out_size, data<A>(taps), window, mutable_data<T>(dx) + n * in_size);
        k.depthwise_weight(in + n * in_size, up + n * out_size, window, sums, bias ? sums + size : nullptr);
      }
    });
  });
  const Tensor total = partial.sum(0);
  dw = new_like(weight);
  dw.copy_(total.narrow(0, 0, size).reshape({-1, x.channels}).t().reshape(weight.sizes()));
  if (bias) db = total.narrow(0, size, x.channels).clone();
  if (dx.defined()) dx = dx.to(input_kind);
  return {dx, dw, db};
}

Tensor depthwise(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, const Kernel& kernel) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    const auto kind = activation_kind(input), input_kind = input.scalar_type();
    require_taps(weight, input.size(1), kind, kernel);
    require_column(bias, weight.size(0), kind, "the bias");
    const Pixels x = dense_pixels(input.to(kind));
    const Tensor y = convolved(x, by_tap(weight.detach()), bias.value_or(Tensor()), kNone, kernel);
    return {{y}, {x.tensor, weight}, [=, biased = bias.has_value()](const Gradients& given) {
      return backward(given, kernel, input_kind, biased);
    }};
  };
  return differentiable({input, weight, bias.value_or(Tensor())}, forward)[0];
}

// act(norm(conv(x))) in one pass, the norm's scale being part of the weight. Records no graph.
Tensor depthwise_norm(const Tensor& input, const Tensor& weight, const Tensor& affine, int act, const Kernel& kernel) {
  require_map(input);
  const auto kind = activation_kind(input);
  require_taps(weight, input.size(1), kind, kernel);
  require_column(affine[0], input.size(1), kind, "the scale");
  const Pixels x = dense_pixels(input.to(kind));
  const Tensor taps = by_tap(weight).mul(affine[0]);
  return convolved(x, taps, affine[1], act, kernel);
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_depthwise(const Tensor* x, const Tensor* weight, const Tensor* bias, int64_t kernel_h,
                                  int64_t kernel_w, const StrataWindow* window, Tensor** out) {
  return guarded([&] { *out = new Tensor(depthwise(*x, *weight, or_none(bias), {kernel_h, kernel_w, *window})); });
}

// As strata_conv_norm, of a depthwise convolution.
extern "C" char* strata_depthwise_norm(const Tensor* x, const Tensor* weight, const Tensor* bias, const StrataNorm* norm,
                                       int act, int64_t kernel_h, int64_t kernel_w, const StrataWindow* window,
                                       Tensor** out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const Tensor affine = running_affine(*norm, or_none(bias));
    *out = new Tensor(depthwise_norm(*x, *weight, affine, act, {kernel_h, kernel_w, *window}));
  });
}
