// Batch normalisation (Ioffe and Szegedy 2015), the sum with a shortcut and the non-linearity in two passes forward and
// two backward. Included by shim.cpp alone.

#pragma once

#include "shim_fused.h"

namespace {

struct NormArguments {
  std::optional<Tensor> running_mean, running_var;
  double momentum, eps;
  int act;
  bool batch;  // statistics of the batch, else the running ones
};

struct NormFunction : torch::autograd::Function<NormFunction> {
  using Context = torch::autograd::AutogradContext;

  static Tensor forward(Context* context, const Tensor& input, const std::optional<Tensor>& add,
                        const std::optional<Tensor>& gamma, const std::optional<Tensor>& beta,
                        const NormArguments& args) {
    require_map(input);
    const Pixels x = dense_pixels(input);
    const auto kind = x.tensor.scalar_type();
    for (const auto* column : {&gamma, &beta, &args.running_mean, &args.running_var})
      require_column(*column, x.channels, kind, "a tensor of the normalisation");
    TORCH_CHECK(gamma.has_value() == beta.has_value(), "gamma and beta go together");
    TORCH_CHECK(args.running_mean.has_value() == args.running_var.has_value(), "running mean and variance go together");
    TORCH_CHECK(args.batch ? x.rows() > 0 : args.running_mean && args.running_var, "there are no statistics");
    TORCH_CHECK(!add || args.act == strata::kNone || args.act == strata::kRelu, "a shortcut goes with no other non-linearity");
    if (add) require_map(*add);
    TORCH_CHECK(!add || add->sizes() == input.sizes(), "the shortcut has another shape");
    Tensor shortcut;
    if (add) shortcut = dense_pixels(add->to(kind)).tensor;
    Tensor y = new_map(x.images, x.channels, x.height, x.width, kind);
    // Rows: scale, shift, mean, inverse deviation.
    Tensor columns = at::empty({4, x.channels}, sums_kind(kind));
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      using A = Acc<T>;
      const auto& k = kernels<T>();
      const int64_t rows = x.rows(), cols = x.channels;
      const T* in = data<T>(x.tensor);
      A *scale = mutable_data<A>(columns), *shift = scale + cols, *mean = shift + cols, *inverse = mean + cols;
      const Pieces pieces(rows, cols);
      if (args.batch) {
        // Moments about the first pixel, so that a mean far from zero costs no digits.
        std::vector<A> origin(cols), sums(pieces.count * cols), squares(pieces.count * cols);
        for (int64_t c = 0; c < cols; ++c) {
          if constexpr (std::is_same_v<T, bf16>)
            origin[c] = c10::BFloat16(in[c].bits, c10::BFloat16::from_bits());
          else
            origin[c] = in[c];
        }
        tasks(pieces.count, [&](int64_t i) {
          k.moments(in + pieces.begin(i) * cols, pieces.length(i), cols, origin.data(), &sums[i * cols],
                    &squares[i * cols]);
        });
        const auto sum = total(sums, pieces.count, cols), square = total(squares, pieces.count, cols);
        A* running_mean = args.running_mean ? mutable_data<A>(*args.running_mean) : nullptr;
        A* running_var = args.running_var ? mutable_data<A>(*args.running_var) : nullptr;
        for (int64_t c = 0; c < cols; ++c) {
          const double off = sum[c] / rows, var = std::max(square[c] / rows - off * off, 0.0);
          mean[c] = static_cast<A>(origin[c] + off);
          inverse[c] = static_cast<A>(1.0 / std::sqrt(var + args.eps));
          if (running_mean) running_mean[c] += static_cast<A>(args.momentum * (origin[c] + off - running_mean[c]));
          if (running_var)
            running_var[c] += static_cast<A>(args.momentum * (var * rows / std::max<int64_t>(rows - 1, 1) - running_var[c]));
        }
      } else {
        const A *running_mean = data<A>(*args.running_mean), *running_var = data<A>(*args.running_var);
        for (int64_t c = 0; c < cols; ++c) {
          mean[c] = running_mean[c];
          inverse[c] = static_cast<A>(1.0 / std::sqrt(running_var[c] + args.eps));
        }
      }
      const A *g = gamma ? data<A>(*gamma) : nullptr, *b = beta ? data<A>(*beta) : nullptr;
      for (int64_t c = 0; c < cols; ++c) {
        scale[c] = (g ? g[c] : A(1)) * inverse[c];
        shift[c] = (b ? b[c] : A(0)) - mean[c] * scale[c];
      }
      const T* other = data_or_null<T>(shortcut);
      T* out = mutable_data<T>(y);
      tasks(pieces.count, [&](int64_t i) {
        const int64_t at = pieces.begin(i) * cols;
        k.affine(in + at, pieces.length(i), cols, scale, shift, other ? other + at : nullptr, args.act, out + at);
      });
    });
    context->save_for_backward({x.tensor, y, columns});
    context->saved_data["act"] = args.act;
    context->saved_data["batch"] = args.batch;
    context->saved_data["add"] = add.has_value();
    context->saved_data["gamma"] = gamma.has_value();
    return y;
  }

  static torch::autograd::variable_list backward(Context* context, const torch::autograd::variable_list& grads) {
    require_first_order();
    const auto saved = context->get_saved_variables();
    const Pixels x = dense_pixels(saved[0]);
    const Tensor &y = saved[1], &columns = saved[2];
    const int act = static_cast<int>(context->saved_data["act"].toInt());
    const bool batch = context->saved_data["batch"].toBool(), added = context->saved_data["add"].toBool();
    const auto kind = x.tensor.scalar_type();
    const Pixels dy = dense_pixels(grads[0].to(kind));
    for (const Tensor* alike : {&y, &dy.tensor}) require_alike(*alike, x.tensor.sizes(), kind);
    require_alike(columns, {4, x.channels}, sums_kind(kind));
    const bool wants_input = context->needs_input_grad(0);
    Tensor dx = new_map(x.images, x.channels, x.height, x.width, kind), dadd, dgamma, dbeta;
    if (added && act != strata::kNone) dadd = new_map(x.images, x.channels, x.height, x.width, kind);
    dgamma = at::empty({x.channels}, columns.options()), dbeta = at::empty({x.channels}, columns.options());
    with_type(kind, [&](auto zero) {
      using T = decltype(zero);
      using A = Acc<T>;
      const auto& k = kernels<T>();
      const int64_t rows = x.rows(), cols = x.channels;
      const T *in = data<T>(x.tensor), *out = data<T>(y), *up = data<T>(dy.tensor);
      // The first pass keeps the gradient behind the non-linearity where the shortcut wants it, or where to compute it
      // twice (an exponential) is dearer than to write it.
      T* residual = dadd.defined() ? mutable_data<T>(dadd) : act == strata::kSilu ? mutable_data<T>(dx) : nullptr;
      const A *scale = data<A>(columns), *shift = scale + cols, *mean = shift + cols, *inverse = mean + cols;
      const Pieces pieces(rows, cols);
      std::vector<A> sums(pieces.count * cols), products(pieces.count * cols);
      tasks(pieces.count, [&](int64_t i) {
        const int64_t at = pieces.begin(i) * cols;
        k.norm_sums(in + at, out + at, up + at, pieces.length(i), cols, scale, shift, mean, inverse, act,
                    residual ? residual + at : nullptr, &sums[i * cols], &products[i * cols]);
      });
      const auto sum = total(sums, pieces.count, cols), product = total(products, pieces.count, cols);
      A *dg = mutable_data<A>(dgamma), *db = mutable_data<A>(dbeta);
      std::vector<A> a(cols), b(cols), c0(cols);
      for (int64_t c = 0; c < cols; ++c) {
        dg[c] = static_cast<A>(product[c]);
        db[c] = static_cast<A>(sum[c]);
        // dx = scale · (g - mean(g) - x̂ · mean(g · x̂)); with running statistics scale · g
        a[c] = scale[c];
        b[c] = batch ? static_cast<A>(-scale[c] * inverse[c] * product[c] / rows) : A(0);
        c0[c] = batch ? static_cast<A>(-scale[c] * sum[c] / rows - b[c] * mean[c]) : A(0);
      }
      if (!wants_input) return;
      T* to = mutable_data<T>(dx);
      tasks(pieces.count, [&](int64_t i) {
        const int64_t at = pieces.begin(i) * cols;
        k.norm_input(in + at, out + at, (residual ? residual : up) + at, pieces.length(i), cols, scale, shift,
                     a.data(), b.data(), c0.data(), residual ? strata::kNone : act, to + at);
      });
    });
    if (added && !dadd.defined()) dadd = dy.tensor;
    if (!context->saved_data["gamma"].toBool()) dgamma = Tensor(), dbeta = Tensor();
    return {wants_input ? dx : Tensor(), dadd, dgamma, dbeta, Tensor()};
  }
};

}  // namespace
