// Loops over pixels in bytes, see pictures.cpp. Integers and uncontracted floats: every instruction set gives the same bits.

#pragma once

#include <cstdint>

namespace strata {

// Weighted means along one axis: output i is the mean of `reach` inputs from first[i] on.
struct Taps {
  const int64_t* first;
  const float* weights;
  int64_t count, reach;
};

struct PictureKernels {
  // The inverse DCT of a row of blocks, [8][8] coefficients each, into eight rows of pixels `ld` apart. Of a block whose last
  // coefficient (in zigzag order) is the first one, nothing else is read.
  void (*blocks)(const int16_t* coefficients, const uint8_t* last, const int16_t* quantizer, int64_t count, uint8_t* out,
                 int64_t ld);
  // Chroma rows brought to the width of luma: `near` and `far` have `count` samples and one more on both sides; out gets
  // `count` samples, or twice as many where `across` is 2. Where `down` is 0, `far` is not read; else 1 for an upper and 2
  // for a lower row.
  void (*chroma)(const uint8_t* near, const uint8_t* far, int64_t count, int across, int down, uint8_t* out,
                 uint16_t* workspace);
  // YCbCr to RGB.
  void (*colours)(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int64_t count, uint8_t* r, uint8_t* g,
                  uint8_t* b);
  // A plane of `rows` rows, `ld` apart, resampled: first along rows, then along columns, rounded at the end. `workspace` has
  // 8 · width + (rows + 7) / 8 · 8 · columns.count numbers, width being that of the plane.
  void (*resample)(const uint8_t* in, int64_t rows, int64_t width, int64_t ld, const Taps& down, const Taps& across,
                   uint8_t* out, float* workspace);
};

const PictureKernels& picture_kernels();

}  // namespace strata
