// Batch normalisation (Ioffe and Szegedy 2015), the sum with a shortcut and the non-linearity in two passes forward and
// two backward: these operations are bound by memory, and each of libtorch's makes passes of its own.

#include "norm.h"

#include <c10/util/Exception.h>

#include <cmath>

#include "autograd.h"
#include "check.h"
#include "maps.h"
#include "parallel.h"
#include "process_group.h"

namespace strata {
namespace {

struct Norm {
  std::optional<Tensor> gamma, beta, mean, var;  // the last two are the running statistics
  double momentum, eps;
  int act;
  bool batch;  // normalise by the statistics of the batch, else by the running ones
  SharedGroup group;  // the ranks that the batch is shared by
};

void require_fit(const Tensor& input, const std::optional<Tensor>& add, const Norm& norm) {
  require_map(input);
  for (const auto* column : {&norm.gamma, &norm.beta, &norm.mean, &norm.var})
    require_column(*column, input.size(1), input.scalar_type(), "a tensor of the normalisation");
  TORCH_CHECK(norm.gamma.has_value() == norm.beta.has_value(), "gamma and beta go together");
  TORCH_CHECK(norm.mean.has_value() == norm.var.has_value(), "running mean and variance go together");
  TORCH_CHECK(norm.batch || norm.mean, "there are no statistics");
  TORCH_CHECK(norm.act >= 0 && norm.act < kActivationCount, "there is no non-linearity ", norm.act);
  TORCH_CHECK(!add || kActivations[norm.act].joins_sum, "a shortcut goes with no other non-linearity");
  if (add) require_map(*add);
  TORCH_CHECK(!add || add->sizes() == input.sizes(), "the shortcut has another shape");
}

// The numbers of each channel that the backward pass needs, rows of one tensor.
template <class A>
struct Columns {
  A *scale, *shift, *mean, *inverse;  // of the deviation
  Columns(const Tensor& columns, int64_t cols)
      : scale(mutable_data<A>(columns)), shift(scale + cols), mean(shift + cols), inverse(mean + cols) {}
};

float value(bf16 x) { return c10::BFloat16(x.bits, c10::BFloat16::from_bits()); }
float value(float x) { return x; }
double value(double x) { return x; }

// Mean and variance of each channel over `rows` pixels.
struct Moments {
  double rows;
  std::vector<double> mean, var;
};

template <class T>
Moments moments(const Pixels& x, const Pieces& pieces) {
  using A = Acc<T>;
  const int64_t rows = x.rows(), cols = x.channels;
  const T* in = data<T>(x.tensor);
  // Moments about the first pixel, so that a mean far from zero costs no digits.
  std::vector<A> origin(cols), sums(pieces.count * cols), squares(pieces.count * cols);
  for (int64_t c = 0; c < cols; ++c) origin[c] = value(in[c]);
  tasks(pieces.count, [&](int64_t i) {
    kernels<T>().moments(in + pieces.begin(i) * cols, pieces.length(i), cols, origin.data(), &sums[i * cols],
                         &squares[i * cols]);
  });
  const auto sum = total(sums, pieces.count, cols), square = total(squares, pieces.count, cols);
  Moments of{static_cast<double>(rows), std::vector<double>(cols), std::vector<double>(cols)};
  for (int64_t c = 0; c < cols; ++c) {
    const double off = sum[c] / rows;
    of.mean[c] = origin[c] + off;
    of.var[c] = std::max(square[c] / rows - off * off, 0.0);
  }
  return of;
}

// The moments of the pixels of all ranks together, by Chan, Golub and LeVeque (1979): sums of squares of all pixels about
// zero would lose the digits that the mean has. Every rank adds in the order of ranks and gets the same bits.
Moments of_all_ranks(Moments own, Group& group) {
  const int64_t cols = own.mean.size();
  const Tensor sent = new_tensor({1 + 2 * cols}, at::kDouble);
  double* numbers = mutable_data<double>(sent);
  numbers[0] = is_idle(group) ? 0.0 : own.rows;
  std::copy(own.mean.begin(), own.mean.end(), numbers + 1);
  std::copy(own.var.begin(), own.var.end(), numbers + 1 + cols);
  Moments all{0.0, std::vector<double>(cols), std::vector<double>(cols)};
  for (const Tensor& tensor : gather(group, sent)) {
    const double *from = data<double>(tensor), *mean = from + 1, *var = mean + cols;
    if (from[0] == 0.0) continue;
    const double rows = all.rows + from[0], share = from[0] / rows;
    for (int64_t c = 0; c < cols; ++c) {
      const double apart = mean[c] - all.mean[c];
      all.mean[c] += apart * share;
      all.var[c] += (var[c] - all.var[c]) * share + apart * apart * share * (1.0 - share);
    }
    all.rows = rows;
  }
  return all;
}

// Mean and inverse deviation of the batch, which also move the running statistics.
template <class A>
void batch_statistics(const Moments& of, const Norm& norm, const Columns<A>& to) {
  A* running_mean = norm.mean ? mutable_data<A>(*norm.mean) : nullptr;
  A* running_var = norm.var ? mutable_data<A>(*norm.var) : nullptr;
  for (size_t c = 0; c < of.mean.size(); ++c) {
    to.mean[c] = static_cast<A>(of.mean[c]);
    to.inverse[c] = static_cast<A>(1.0 / std::sqrt(of.var[c] + norm.eps));
    if (running_mean) running_mean[c] += static_cast<A>(norm.momentum * (of.mean[c] - running_mean[c]));
    // The running variance is the unbiased one, as in libtorch.
    const double unbiased = of.var[c] * of.rows / std::max(of.rows - 1.0, 1.0);
    if (running_var) running_var[c] += static_cast<A>(norm.momentum * (unbiased - running_var[c]));
  }
}

template <class A>
void running_statistics(const Norm& norm, int64_t cols, const Columns<A>& to) {
  const A *mean = data<A>(*norm.mean), *var = data<A>(*norm.var);
  for (int64_t c = 0; c < cols; ++c) {
    to.mean[c] = mean[c];
    to.inverse[c] = static_cast<A>(1.0 / std::sqrt(var[c] + norm.eps));
  }
}

// Gives the number of pixels whose statistics were used, 0 for the running ones.
template <class T>
double normalise(const Pixels& x, const Tensor& shortcut, const Norm& norm, const Tensor& columns, const Tensor& y) {
  using A = Acc<T>;
  const int64_t cols = x.channels;
  const Columns<A> to(columns, cols);
  const Pieces pieces(x.rows(), cols);
  Moments of{};
  if (norm.batch) of = moments<T>(x, pieces);
  if (norm.batch && norm.group) of = of_all_ranks(std::move(of), *norm.group);
  // One pixel on all ranks together has no variance.
  const bool batch = norm.batch && !(norm.group && norm.mean && of.rows < 2.0);
  if (batch)
    batch_statistics<A>(of, norm, to);
  else
    running_statistics<A>(norm, cols, to);
  const A *g = data_or_null<A>(norm.gamma), *b = data_or_null<A>(norm.beta);
  for (int64_t c = 0; c < cols; ++c) {
    to.scale[c] = (g ? g[c] : A(1)) * to.inverse[c];
    to.shift[c] = (b ? b[c] : A(0)) - to.mean[c] * to.scale[c];
  }
  const T *in = data<T>(x.tensor), *other = data_or_null<T>(shortcut);
  T* out = mutable_data<T>(y);
  tasks(pieces.count, [&](int64_t i) {
    const int64_t at = pieces.begin(i) * cols;
    kernels<T>().affine(in + at, pieces.length(i), cols, to.scale, to.shift, other ? other + at : nullptr, norm.act, out + at);
  });
  return batch ? of.rows : 0.0;
}

// What the backward pass keeps of the arguments.
struct Kept {
  int act;
  double rows;  // pixels whose statistics were used; 0 for the running ones
  bool added, gamma, idle;
  SharedGroup group;
};

// Two sums of each channel, over the pixels of all ranks.
void over_ranks(std::vector<double>& one, std::vector<double>& other, Group& group) {
  const int64_t cols = one.size();
  const Tensor both = new_tensor({2 * cols}, at::kDouble);
  double* numbers = mutable_data<double>(both);
  std::copy(one.begin(), one.end(), numbers);
  std::copy(other.begin(), other.end(), numbers + cols);
  sum(group, both);
  std::copy(numbers, numbers + cols, one.begin());
  std::copy(numbers + cols, numbers + 2 * cols, other.begin());
}

// The gradients of gamma and beta, then dx = a · g + b · x + c, with g the gradient past the non-linearity. `residual` is
// where g is kept, if anywhere.
template <class T>
void norm_gradients(const Pixels& x, const Tensor& y, const Tensor& columns, const Pixels& dy, const Kept& kept, T* residual,
                    const Tensor& dgamma, const Tensor& dbeta, T* dx) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const int64_t rows = x.rows(), cols = x.channels;
  // From x there is one map less to read. The derivative is that from y, but for relu6 in bfloat16 next to 6, where y is rounded to
  // 6 and the derivative from x is the more exact one.
  const bool from_input = !kept.added && (kept.act == kRelu || kept.act == kRelu6);
  const T *in = data<T>(x.tensor), *out = from_input ? nullptr : data<T>(y), *up = data<T>(dy.tensor);
  const Columns<A> of(columns, cols);
  const Pieces pieces(rows, cols);
  std::vector<A> sums(pieces.count * cols), products(pieces.count * cols);
  tasks(pieces.count, [&](int64_t i) {
    const int64_t at = pieces.begin(i) * cols;
    k.norm_sums(in + at, out ? out + at : nullptr, up + at, pieces.length(i), cols, of.scale, of.shift, of.mean, of.inverse,
                kept.act, residual ? residual + at : nullptr, &sums[i * cols], &products[i * cols]);
  });
  auto sum = total(sums, pieces.count, cols), product = total(products, pieces.count, cols);
  // Those of this rank's pixels: they are added up with the other gradients.
  std::transform(product.begin(), product.end(), mutable_data<A>(dgamma), [](double x) { return static_cast<A>(x); });
  std::transform(sum.begin(), sum.end(), mutable_data<A>(dbeta), [](double x) { return static_cast<A>(x); });
  if (!dx) return;
  const bool batch = kept.rows > 0.0;
  if (batch && kept.group) over_ranks(sum, product, *kept.group);
  std::vector<A> a(cols), b(cols), c0(cols);
  for (int64_t c = 0; c < cols; ++c) {
    // dx = scale · (g - mean(g) - x̂ · mean(g · x̂)); with running statistics scale · g; 0 for pixels that do not count
    if (kept.idle) continue;
    a[c] = of.scale[c];
    b[c] = batch ? static_cast<A>(-of.scale[c] * of.inverse[c] * product[c] / kept.rows) : A(0);
    c0[c] = batch ? static_cast<A>(-of.scale[c] * sum[c] / kept.rows - b[c] * of.mean[c]) : A(0);
  }
  tasks(pieces.count, [&](int64_t i) {
    const int64_t at = pieces.begin(i) * cols;
    k.norm_input(in + at, out ? out + at : nullptr, (residual ? residual : up) + at, pieces.length(i), cols, of.scale,
                 of.shift, a.data(), b.data(), c0.data(), residual ? kNone : kept.act, dx + at);
  });
}

Tensors backward(const Gradients& given, const Kept& kept) {
  const Pixels x = dense_pixels(given.saved[0]);
  const Tensor &y = given.saved[1], &columns = given.saved[2];
  const auto kind = x.tensor.scalar_type();
  const Pixels dy = dense_pixels(given.outputs[0].to(kind));
  for (const Tensor* alike : {&y, &dy.tensor}) require_alike(*alike, x.tensor.sizes(), kind);
  require_alike(columns, {4, x.channels}, sums_kind(kind));
  const auto like_x = [&] { return new_map(x.images, x.channels, x.height, x.width, kind); };
  const Tensor dx = like_x();
  Tensor dadd, dgamma = new_tensor({x.channels}, sums_kind(kind)), dbeta = new_tensor({x.channels}, sums_kind(kind));
  if (kept.added && kept.act != kNone) dadd = like_x();
  with_type(kind, [&](auto zero) {
    using T = decltype(zero);
    // The first pass keeps the gradient past the non-linearity where the shortcut wants it, or where to compute it twice
    // (an exponential) costs more than to write it: in dx then, which the second pass overwrites in place.
    T* to = mutable_data<T>(dx);
    T* residual = dadd.defined() ? mutable_data<T>(dadd) : kActivations[kept.act].costly ? to : nullptr;
    norm_gradients<T>(x, y, columns, dy, kept, residual, dgamma, dbeta, given.wants(0) ? to : nullptr);
  });
  if (kept.added && !dadd.defined()) dadd = dy.tensor;
  if (!kept.gamma) dgamma = Tensor(), dbeta = Tensor();
  return {given.wants(0) ? dx : Tensor(), dadd, dgamma, dbeta};
}

Tensor norm_act(const Tensor& input, const std::optional<Tensor>& add, const Norm& norm) {
  const auto forward = [&]() -> Forward {
    require_fit(input, add, norm);
    const Pixels x = dense_pixels(input);
    const auto kind = x.tensor.scalar_type();
    Tensor shortcut;
    if (add) shortcut = dense_pixels(add->to(kind)).tensor;
    const Tensor y = new_map(x.images, x.channels, x.height, x.width, kind);
    const Tensor columns = new_tensor({4, x.channels}, sums_kind(kind));
    const double rows =
        with_type(kind, [&](auto zero) { return normalise<decltype(zero)>(x, shortcut, norm, columns, y); });
    const bool idle = norm.group && is_idle(*norm.group);
    const Kept kept{norm.act, rows, add.has_value(), norm.gamma.has_value(), idle, norm.group};
    return {{y}, {x.tensor, y, columns}, [kept](const Gradients& given) { return backward(given, kept); }};
  };
  const auto or_undefined = [](const std::optional<Tensor>& tensor) { return tensor.value_or(Tensor()); };
  return differentiable({input, or_undefined(add), or_undefined(norm.gamma), or_undefined(norm.beta)}, forward)[0];
}

}  // namespace

Tensor running_affine(const StrataNorm& norm, const std::optional<Tensor>& bias) {
  const auto gamma = or_none(norm.gamma), beta = or_none(norm.beta), mean = or_none(norm.mean), var = or_none(norm.var);
  TORCH_CHECK(mean && var, "there are no statistics");
  const int64_t channels = var->numel();
  const auto kind = var->scalar_type();
  for (const auto* column : {&gamma, &beta, &mean, &var, &bias})
    require_column(*column, channels, kind, "a tensor of the normalisation");
  // By hand: as operations of libtorch it is half a dozen calls, and every layer has one such.
  const Tensor columns = new_tensor({2, channels}, sums_kind(kind));
  const auto fill = [&](auto zero) {
    using A = decltype(zero);
    const A *g = data_or_null<A>(gamma), *b = data_or_null<A>(beta), *c = data_or_null<A>(bias);
    const A *m = data<A>(*mean), *v = data<A>(*var);
    A *scale = mutable_data<A>(columns), *shift = scale + channels;
    for (int64_t i = 0; i < channels; ++i) {
      scale[i] = (g ? g[i] : A(1)) / std::sqrt(v[i] + static_cast<A>(norm.eps));
      shift[i] = ((c ? c[i] : A(0)) - m[i]) * scale[i] + (b ? b[i] : A(0));
    }
  };
  kind == at::kDouble ? fill(double{}) : fill(float{});
  return columns;
}

}  // namespace strata

using namespace strata;

// act(norm(x) + add); with `batch` by the statistics of the batch, that of all ranks of a group, which move the running ones.
extern "C" char* strata_norm_act(const Tensor* x, const Tensor* add, const StrataNorm* norm, int act, int batch, Tensor** out) {
  return guarded([&] {
    const Norm all{or_none(norm->gamma), or_none(norm->beta), or_none(norm->mean), or_none(norm->var), norm->momentum,
                   norm->eps,            act,                 batch != 0,         shared(norm->group)};
    *out = new Tensor(norm_act(*x, or_none(add), all));
  });
}
