// Convolutions of stride 1 by Winograd's algorithm: F(4x4, 3x3), F(2x2, 3x3) where tiles of 4x4 overhang too far, and F(2x2, 5x5).
// Transforms and products are in float for bfloat16 too, so that their error (about 1e-6) vanishes in the rounding of the output.
//
// In evaluation, processors with bfloat16 dot products use a fused kernel of F(2x2, 3x3), which rounds transformed inputs and
// weights to bfloat16 (docs/speed.md has the errors).

#include "conv.h"

namespace strata {
namespace {

// Tiles of 2x2 and of 4x4 outputs from which on the transform of the weight pays.
constexpr int64_t kManyTiles2 = 1024, kManyTiles4 = 256;

Tiles tiles_of(const Shape& s, int64_t ld, int64_t side) { return {s.height, s.width, s.in, ld, side}; }

int64_t tile_count(const Shape& s, int64_t side) { return s.images * tiles_of(s, s.in, side).of_image(); }

// How many users of this thread want direct sums alone.
thread_local int direct_users = 0;

// The algorithm for a shape that fits one: tiles of 4x4 outputs where these take fewer products.
template <class T>
const WinogradKernels<T>& algorithm(const Shape& s) {
  if (s.kernel_h == 5) return kernels<T>().winograd_2x5;
  const bool by_fours = tile_count(s, 4) >= kManyTiles4 && 36 * tile_count(s, 4) < 16 * tile_count(s, 2);
  return by_fours ? kernels<T>().winograd_4x3 : kernels<T>().winograd_2x3;
}

bool fits_winograd(const Shape& s) {
  const StrataWindow& w = s.window;
  const int64_t kernel = s.kernel_h, before = kernel / 2;
  const bool same = w.out_h == s.height && w.out_w == s.width && w.top == before && w.left == before && w.stride_h == 1 &&
                    w.stride_w == 1;
  // With few channels the additions of the transforms take as long as the products that they save.
  const bool wide = s.in % 2 == 0 && s.in >= 16 && s.out >= 16;
  // Direct sums skip the padding, which is a good part of what the kernel meets on a small map.
  const int64_t side = kernel == 5 ? 8 : 3;
  return direct_users == 0 && same && (kernel == 3 || kernel == 5) && s.kernel_w == kernel && wide && s.height >= side &&
         s.width >= side;
}

// How many tiles are in work at once: so many that they and their sums stay in the second cache, but enough to read the whole
// weight for. With AVX2, products take six rows at a time.
int64_t band_of(int64_t places, int64_t in, int64_t strip) {
  constexpr int64_t cache = 768 * 1024 / sizeof(float);
  const int64_t least = std::max<int64_t>(36, in / 4);
  return std::clamp(cache / (places * (in + strip)), least, std::max<int64_t>(96, least)) / 6 * 6;
}

}  // namespace

template <class T>
bool by_winograd(const Shape& s) {
  if (!fits_winograd(s)) return false;
  const int64_t side = algorithm<T>(s).side;
  // Products of bfloat16 take half the time of those of floats, with AMX a sixteenth. Only F(4x4, 3x3), which needs a quarter of them, gains
  // enough to pay for its transforms; F(2x2, 5x5), which needs 0.36, was excluded by this reckoning, not by measurement.
  if (sizeof(T) == 2) return side == 4 && !has_amx();
  return side == 4 || tile_count(s, 2) >= kManyTiles2;
}
template bool by_winograd<bf16>(const Shape&);
template bool by_winograd<float>(const Shape&);
template bool by_winograd<double>(const Shape&);

template <class T>
bool by_fused_winograd(const Shape& s, int64_t ld) {
  return kernels<T>().fused_winograd && s.kernel_h == 3 && fits_winograd(s) && tile_count(s, 2) >= kManyTiles2 && s.in % 16 == 0 &&
         s.out % 16 == 0 && ld == s.out;
}
template bool by_fused_winograd<bf16>(const Shape&, int64_t);
template bool by_fused_winograd<float>(const Shape&, int64_t);
template bool by_fused_winograd<double>(const Shape&, int64_t);

namespace {

// The transformed weight: a matrix [out, in] for each place of a tile, `size` numbers apart.
template <class A>
Buffer<A> transform_weight(const Shape& s, const Weight<A>& w, const WinogradKernels<A>& winograd) {
  const int64_t size = s.in * s.out;
  Buffer<A> matrices(winograd.places * size);
  tasks(s.out, [&](int64_t o) { winograd.weight(w.data + o * w.ld, s.in, matrices.data + o * s.in, size); });
  return matrices;
}

}  // namespace

template <class T>
void winograd_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  using A = Acc<T>;
  const auto& winograd = algorithm<T>(s);
  const int64_t side = winograd.side, places = winograd.places, size = s.in * s.out;
  const Buffer<A> packed = packed_weight<A>(Variant::kWinograd, {places}, w.tensor, places * size, [&](A* packed) {
    const Buffer<A> spread = transform_weight(s, w, algorithm<A>(s));
    tasks(places, [&](int64_t place) {
      kernels<A>().interleave_transposed(spread.data + place * size, s.out, s.in, s.in, packed + place * size, s.out);
    });
  });
  const Tiles tiles = tiles_of(s, ld_x, side);
  const int64_t all = tile_count(s, side), strip = std::min(kCols, s.out), band = band_of(places, s.in, strip);
  // A cache line lies between matrices: at a power of two apart they would compete for the same sets of the cache.
  constexpr int64_t gap = 64 / sizeof(A);
  tasks(blocks(all, band), [&](int64_t task) {
    const int64_t first = task * band, count = std::min(band, all - first);
    const int64_t step = count * s.in + gap, sums_step = count * strip + gap;
    A *spread_input = workspace<A>(0, places * step), *sums = scratch<A>(places * sums_step);
    winograd.input(x, tiles, first, count, spread_input, step);
    for (int64_t col = 0; col < s.out; col += kCols) {
      const int64_t n = std::min(kCols, s.out - col);
      for (int64_t place = 0; place < places; ++place)
        product(count, n, s.in, s.in, s.out, n, false, spread_input + place * step, packed.data + place * size + col,
                sums + place * sums_step);
      winograd.output(sums, sums_step, tiles, first, count, n, end.scale ? end.scale + col : nullptr,
                      end.shift ? end.shift + col : nullptr, end.add ? end.add + col : nullptr, end.act, y + col, end.ld);
    }
  });
}
STRATA_FORWARD(winograd_forward)

template <class T>
void fused_winograd_forward(const Shape& s, const T* x, int64_t ld_x, const Weight<Acc<T>>& w, const End<T>& end, T* y) {
  const auto& k = kernels<T>();
  const int64_t size = s.in * s.out, places = k.winograd_2x3.places;
  const Buffer<T> packed = packed_weight<T>(Variant::kFusedWinograd, {places}, w.tensor, places * size, [&](T* packed) {
    const Buffer<Acc<T>> spread = transform_weight(s, w, kernels<Acc<T>>().winograd_2x3);
    // In the layout that fused_winograd takes (kernels.h).
    tasks(places * (s.out / 16), [&](int64_t task) {
      const int64_t place = task % places, strip = task / places, row = place / 4, col = place % 4;
      k.interleave_transposed(spread.data + place * size + strip * 16 * s.in, 16, s.in, s.in,
                              packed + (strip * 4 + col) * 64 * s.in + row * 32, 64);
    });
  });
  const Tiles tiles = tiles_of(s, ld_x, 2);
  constexpr int64_t band = 4 * kGroup;
  const int64_t all = tile_count(s, 2);
  tasks(blocks(all, band), [&](int64_t task) {
    k.fused_winograd(x, tiles, task * band, std::min(band, all - task * band), packed.data, s.out, end.scale, end.shift, end.add,
                     end.act, y, workspace<T>(0, band * places * s.in));
  });
}
STRATA_FORWARD(fused_winograd_forward)

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
  const End<T> end{nullptr, nullptr, nullptr, kNone, to.ld_dx};
  winograd_forward<T>(turned, to.dy, to.ld_dy, {weight.tensor, weight.data, ld}, end, to.dx);
}
STRATA_BACKWARD(winograd_input_gradient)

// The products of each place, summed over tiles: of the transformed input and the transformed gradient of the output.
template <class T>
void winograd_weight_gradient(const Shape& s, const ConvBackward<T>& to) {
  using A = Acc<T>;
  const auto& winograd = algorithm<T>(s);
  const int64_t side = winograd.side, size = s.in * s.out;
  const Tiles inputs = tiles_of(s, to.ld_x, side), outputs = tiles_of(s.turned(), to.ld_dy, side);
  const int64_t places = winograd.places, band = band_of(places, s.in, s.out);
  // Fewer chunks than of direct sums: to write and read the sums of a chunk takes as long as a good part of its products.
  const int64_t chunks = chunk_count(s.images, 4 * places * size);
  const Buffer<A> partial(chunks * places * size);
  tasks(chunks, [&](int64_t index) {
    const Chunk chunk(s.images, index, chunks);
    const int64_t begin = chunk.begin * inputs.of_image(), end = chunk.end * inputs.of_image();
    A* sums = partial.data + index * places * size;
    for (int64_t first = begin; first < end; first += band) {
      const int64_t count = std::min(band, end - first), gap = 64 / sizeof(A);
      const int64_t x_step = count * s.in + gap, dy_step = count * s.out + gap;
      A *x = workspace<A>(0, places * x_step), *dy = workspace<A>(1, places * dy_step);
      winograd.input(to.x, inputs, first, count, x, x_step);
      winograd.output_gradient(to.dy, outputs, first, count, dy, dy_step);
      for (int64_t place = 0; place < places; ++place)
        kernels<A>().product_of_transposed(s.in, s.out, count, s.in, s.out, s.out, first > begin, x + place * x_step,
                                           dy + place * dy_step, sums + place * size);
    }
  });
  tasks(places, [&](int64_t place) {
    A* whole = partial.data + place * size;
    for (int64_t chunk = 1; chunk < chunks; ++chunk)
      for (int64_t i = 0; i < size; ++i) whole[i] += whole[chunk * places * size + i];
  });
  const Buffer<A> taps(s.taps() * size);  // [taps, in, out]
  tasks(s.in, [&](int64_t i) { winograd.weight_gradient(partial.data + i * s.out, size, s.out, taps.data + i * s.out, size); });
  tasks(s.taps(), [&](int64_t tap) {
    kernels<A>().transpose(taps.data + tap * size, s.in, s.out, s.out, to.dw + tap * s.in, s.taps() * s.in);
  });
}
STRATA_BACKWARD(winograd_weight_gradient)

}  // namespace strata

// Between the two, convolutions of this thread do not use Winograd's algorithm.
extern "C" void strata_begin_direct() noexcept { ++strata::direct_users; }
extern "C" void strata_end_direct() noexcept { --strata::direct_users; }
