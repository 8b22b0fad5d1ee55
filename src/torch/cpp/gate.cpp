// What squeeze-and-excitation (Hu et al. 2018), Highway networks and shortcuts need: a map used twice, its mean over pixels, its product
// with a factor for each channel, sums with a gate. Each pass handles all uses, where autograd would take passes of its own.

#include <c10/util/Exception.h>

#include "autograd.h"
#include "check.h"
#include "maps.h"
#include "parallel.h"

namespace strata {
namespace {

Tensors gate_gradients(const Gradients& given, at::ScalarType factor_kind) {
  const Pixels x = dense_pixels(given.saved[0]), dy = dense_pixels(given.outputs[0]);
  const Tensor& factor = given.saved[1];
  const auto kind = x.tensor.scalar_type();
  require_alike(dy.tensor, x.tensor.sizes(), kind);
  require_alike(factor, {x.images, x.channels, 1, 1}, kind);
  const bool wants_factor = given.wants(1);
  const Tensor dx = new_map(x.images, x.channels, x.height, x.width, kind), df = new_map(x.images, x.channels, 1, 1, kind);
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    const auto& k = kernels<T>();
    const int64_t pixels = x.height * x.width, size = pixels * x.channels;
    tasks(x.images, [&](int64_t n) {
      const T* up = data<T>(dy.tensor) + n * size;
      k.gate(up, data<T>(factor) + n * x.channels, pixels, x.channels, mutable_data<T>(dx) + n * size);
      if (wants_factor)
        k.column_sums(up, data<T>(x.tensor) + n * size, pixels, x.channels, 1, mutable_data<T>(df) + n * x.channels);
    });
  });
  return {dx, wants_factor ? df.to(factor_kind) : Tensor()};
}

// x · factor, with a factor [N, C, 1, 1].
Tensor gate(const Tensor& input, const Tensor& factor) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    require_map(factor);
    TORCH_CHECK(factor.size(0) == input.size(0) && factor.size(1) == input.size(1) && factor.size(2) == 1 &&
                    factor.size(3) == 1,
                "a factor ", factor.sizes(), " is none a channel of ", input.sizes());
    const Pixels x = dense_pixels(input);
    const Tensor f = dense_pixels(factor.to(x.tensor.scalar_type())).tensor;
    const Tensor y = new_map(x.images, x.channels, x.height, x.width, x.tensor.scalar_type());
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t pixels = x.height * x.width, size = pixels * x.channels;
      tasks(x.images, [&](int64_t n) {
        kernels<T>().gate(data<T>(x.tensor) + n * size, data<T>(f) + n * x.channels, pixels, x.channels,
                          mutable_data<T>(y) + n * size);
      });
    });
    const auto kind = factor.scalar_type();
    return {{y}, {x.tensor, f}, [kind](const Gradients& given) { return gate_gradients(given, kind); }};
  };
  return differentiable({input, factor}, forward)[0];
}

struct Sizes {
  int64_t images, channels, height, width;
};

Tensors squeeze_gradients(const Gradients& given, const Sizes& s) {
  if (!given.outputs[1].defined()) return {given.outputs[0]};
  const auto kind = given.outputs[1].scalar_type();
  const Tensor mean = dense_pixels(given.outputs[1]).tensor;
  Tensor whole;
  if (given.outputs[0].defined()) whole = dense_pixels(given.outputs[0].to(kind)).tensor;
  const Tensor dx = new_map(s.images, s.channels, s.height, s.width, kind);
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    const int64_t pixels = s.height * s.width, size = pixels * s.channels;
    tasks(s.images, [&](int64_t n) {
      kernels<T>().add_column(whole.defined() ? data<T>(whole) + n * size : nullptr, data<T>(mean) + n * s.channels, pixels,
                              s.channels, Acc<T>(1) / pixels, mutable_data<T>(dx) + n * size);
    });
  });
  return {dx};
}

// The map itself and its mean over pixels [N, C, 1, 1]: their gradients are added in one pass.
Tensors squeeze(const Tensor& input) {
  const auto forward = [&]() -> Forward {
    require_map(input);
    const Pixels x = dense_pixels(input);
    const Tensor mean = new_map(x.images, x.channels, 1, 1, x.tensor.scalar_type());
    with_type(x.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t pixels = x.height * x.width;
      tasks(x.images, [&](int64_t n) {
        kernels<T>().column_sums(data<T>(x.tensor) + n * pixels * x.channels, nullptr, pixels, x.channels,
                                 Acc<T>(1) / pixels, mutable_data<T>(mean) + n * x.channels);
      });
    });
    const Sizes s{x.images, x.channels, x.height, x.width};
    return {{input.alias(), mean}, {}, [s](const Gradients& given) { return squeeze_gradients(given, s); }, false};
  };
  return differentiable({input}, forward);
}

Tensors fork_gradients(const Gradients& given) {
  const Tensor &one = given.outputs[0], &other = given.outputs[1];
  if (!one.defined() || !other.defined()) return {one.defined() ? one : other};
  if (one.scalar_type() != other.scalar_type()) return {one.add(other)};
  const Pixels a = dense_pixels(one), b = dense_pixels(other);
  const Tensor dx = new_map(a.images, a.channels, a.height, a.width, a.tensor.scalar_type());
  with_type(a.tensor.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t size = a.height * a.width * a.channels;
    tasks(a.images, [&](int64_t n) {
      kernels<T>().add(data<T>(a.tensor) + n * size, data<T>(b.tensor) + n * size, size, mutable_data<T>(dx) + n * size);
    });
  });
  return {dx};
}

// The map twice, for two paths whose gradients are added by our own pass.
Tensors fork(const Tensor& x) {
  const auto forward = [&]() -> Forward {
    require_map(x);
    return {{x.alias(), x.alias()}, {}, fork_gradients, false};
  };
  return differentiable({x}, forward);
}

Tensors gated_sum_gradients(const Gradients& given, bool shortcut_only) {
  const Pixels gate = dense_pixels(given.saved[0]), body = dense_pixels(given.saved[1]), shortcut = dense_pixels(given.saved[2]);
  const auto kind = gate.tensor.scalar_type();
  const Pixels dy = dense_pixels(given.outputs[0].to(kind));
  for (const Pixels& map : {body, shortcut, dy}) require_alike(map.tensor, gate.tensor.sizes(), kind);
  const auto map = [&] { return new_map(gate.images, gate.channels, gate.height, gate.width, kind); };
  const Tensor dgate = map(), dbody = shortcut_only ? dy.tensor : map(), dshortcut = map();
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    const int64_t size = gate.height * gate.width * gate.channels;
    tasks(gate.images, [&](int64_t n) {
      const int64_t at = n * size;
      kernels<T>().gated_sum_backward(data<T>(gate.tensor) + at, data<T>(body.tensor) + at, data<T>(shortcut.tensor) + at,
                                      data<T>(dy.tensor) + at, size, shortcut_only, mutable_data<T>(dgate) + at,
                                      shortcut_only ? nullptr : mutable_data<T>(dbody) + at,
                                      mutable_data<T>(dshortcut) + at);
    });
  });
  return {dgate, dbody, dshortcut};
}

// T · body + (1 - T) · shortcut, or body + (1 - T) · shortcut, with T = σ(gate); three maps of one size and kind.
Tensor gated_sum(const Tensor& gate, const Tensor& body, const Tensor& shortcut, bool shortcut_only) {
  const auto forward = [&]() -> Forward {
    for (const Tensor& map : {gate, body, shortcut}) {
      require_map(map);
      TORCH_CHECK(map.sizes() == gate.sizes() && map.scalar_type() == gate.scalar_type(), "a map ", map.sizes(), " of ",
                  map.scalar_type(), " does not fit a gate ", gate.sizes(), " of ", gate.scalar_type());
    }
    const Pixels t = dense_pixels(gate), b = dense_pixels(body), s = dense_pixels(shortcut);
    const Tensor y = new_map(t.images, t.channels, t.height, t.width, t.tensor.scalar_type());
    with_type(t.tensor.scalar_type(), [&](auto zero) {
      using T = decltype(zero);
      const int64_t size = t.height * t.width * t.channels;
      tasks(t.images, [&](int64_t n) {
        const int64_t at = n * size;
        kernels<T>().gated_sum(data<T>(t.tensor) + at, data<T>(b.tensor) + at, data<T>(s.tensor) + at, size, shortcut_only,
                               mutable_data<T>(y) + at);
      });
    });
    return {{y}, {t.tensor, b.tensor, s.tensor}, [shortcut_only](const Gradients& given) {
              return gated_sum_gradients(given, shortcut_only);
            }};
  };
  return differentiable({gate, body, shortcut}, forward)[0];
}

}  // namespace
}  // namespace strata

using namespace strata;

extern "C" char* strata_gate(const Tensor* x, const Tensor* factor, Tensor** out) {
  return guarded([&] { *out = new Tensor(gate(*x, *factor)); });
}

extern "C" char* strata_gated_sum(const Tensor* gate, const Tensor* body, const Tensor* shortcut, int shortcut_only,
                                  Tensor** out) {
  return guarded([&] { *out = new Tensor(gated_sum(*gate, *body, *shortcut, shortcut_only != 0)); });
}

extern "C" char* strata_squeeze(const Tensor* x, Tensor** same, Tensor** mean) {
  return guarded([&] { hand_out(squeeze(*x), same, mean); });
}

extern "C" char* strata_fork(const Tensor* x, Tensor** one, Tensor** other) {
  return guarded([&] { hand_out(strata::fork(*x), one, other); });
}
