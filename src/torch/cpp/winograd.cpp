// 3x3 convolutions of stride 1 by Winograd's algorithm, F(2x2, 3x3): 16 products for four outputs instead of 36. In training
// in float alone: in bfloat16 the sums of inputs and of weights are rounded once more (docs/speed.md has by how much).

#include "conv.h"

namespace strata {
namespace {

// Tiles from which on the transform of the weight pays.
constexpr int64_t kManyTiles = 1024;

Tiles tiles_of(const Shape& s, int64_t ld) { return {s.height, s.width, s.in, ld}; }

// How many users of this thread want direct sums alone.
thread_local int direct_users = 0;

}  // namespace

bool by_winograd(const Shape& s) {
  if (direct_users > 0) return false;
  const StrataWindow& w = s.window;
  const bool same = w.out_h == s.height && w.out_w == s.width && w.top == 1 && w.left == 1 && w.stride_h == 1 && w.stride_w == 1;
  // With few channels the additions of the transforms take as long as the products that they save.
  const bool wide = s.in % 2 == 0 && s.in >= 16 && s.out >= 16;
  return same && s.kernel_h == 3 && s.kernel_w == 3 && wide && s.height > 2 && s.width > 2 &&
         s.images * tiles_of(s, s.in).of_image() >= kManyTiles;
}

namespace {

constexpr int64_t kPlaces = 16;

// The transformed weight, in the matrices that products() takes, or as kernels.h says for winograd_tiles.
template <class T>
Buffer<T> winograd_weight(const Shape& s, const Weight<Acc<T>>& w, bool in_registers) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const int64_t size = s.in * s.out;
  return packed_weight<T>(in_registers ? Variant::kWinogradTiles : Variant::kWinograd, {}, w.tensor, kPlaces * size, [&](T* packed) {
    Buffer<A> spread(kPlaces * size);
    tasks(s.out, [&](int64_t o) { k.winograd_weight(w.data + o * w.ld, s.in, spread.data + o * s.in, size); });
    if (in_registers)
      tasks(kPlaces * (s.out / 16), [&](int64_t task) {
        const int64_t place = task % kPlaces, strip = task / kPlaces, row = place / 4, col = place % 4;
        k.interleave_transposed(spread.data + place * size + strip * 16 * s.in, 16, s.in, s.in,
                                packed + (strip * 4 + col) * 64 * s.in + row * 32, 64);
      });
    else
      tasks(kPlaces, [&](int64_t place) {
        k.interleave_transposed(spread.data + place * size, s.out, s.in, s.in, packed + place * size, s.out);
      });
  });
}

}  // namespace

template <class T>
void winograd_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  using A = Acc<T>;
  const auto& k = kernels<T>();
  const bool in_registers = k.winograd_tiles && s.in % 16 == 0 && s.out % 16 == 0;
  const Buffer<T> packed = winograd_weight<T>(s, w, in_registers);
  const Tiles tiles = tiles_of(s, ld_x);
  const int64_t all = s.images * tiles.of_image(), size = s.in * s.out;
  if (in_registers) {
    constexpr int64_t band = 4 * kGroup;
    tasks(blocks(all, band), [&](int64_t task) {
      k.winograd_tiles(x, tiles, task * band, std::min(band, all - task * band), packed.data, s.out, end.scale, end.shift,
                       end.add, end.act, y, room<T>(0, band * kPlaces * s.in));
    });
    return;
  }
  const int64_t strip = std::min(kCols, s.out);
  // So many tiles that their sums stay in the second cache. A cache line lies between matrices: at a power of two apart they
  // would compete for the same sets of the cache.
  const int64_t band = 64 * kCols / std::max<int64_t>(16, strip), gap = 64 / sizeof(T), sums_gap = 64 / sizeof(A);
  tasks(blocks(all, band), [&](int64_t task) {
    const int64_t first = task * band, count = std::min(band, all - first);
    const int64_t step = count * s.in + gap, sums_step = count * strip + sums_gap;
    T* spread_input = room<T>(0, kPlaces * step);
    A* sums = scratch<A>(kPlaces * sums_step);
    k.winograd_input(x, tiles, first, count, spread_input, step);
    for (int64_t col = 0; col < s.out; col += kCols) {
      const int64_t n = std::min(kCols, s.out - col);
      for (int64_t place = 0; place < kPlaces; ++place)
        product(count, n, s.in, s.in, s.out, n, false, spread_input + place * step,
                packed.data + place * size + col * kPair<T>, sums + place * sums_step);
      k.winograd_output(sums, sums_step, tiles, first, count, n, end.scale ? end.scale + col : nullptr,
                        end.shift ? end.shift + col : nullptr, end.add ? end.add + col : nullptr, end.act, y + col, s.out);
    }
  });
}
STRATA_FORWARD(winograd_forward)

template <class T>
void winograd_input_gradient(const Shape& s, const ConvBackward<T>& to) {
  using A = Acc<T>;
  const Shape turned = s.turned();
  // The kernel turned by half a circle, from outputs to inputs: [in, taps, out].
  const Buffer<A> weight(s.in * s.taps() * s.out);
  const int64_t ld = s.taps() * s.out;
  tasks(s.taps(), [&](int64_t tap) {
    kernels<A>().transpose(to.weight.tap(tap, s.in), s.out, s.in, to.weight.ld, weight.data + (s.taps() - 1 - tap) * s.out, ld);
  });
  winograd_forward<T>(turned, to.dy, to.ld_dy, {weight.tensor, weight.data, ld}, {}, to.dx);
}
STRATA_BACKWARD(winograd_input_gradient)

}  // namespace strata

// Between the two, convolutions of this thread do not use Winograd's algorithm.
extern "C" void strata_begin_direct() noexcept { ++strata::direct_users; }
extern "C" void strata_end_direct() noexcept { --strata::direct_users; }
