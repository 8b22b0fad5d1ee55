// The C interface of the kernels on pixels; pictures.rs checks the lengths.

#include "kernels/pictures.h"

using strata::picture_kernels;
using strata::Taps;

extern "C" {

void strata_blocks(const int16_t* coefficients, const uint8_t* last, const int16_t* quantizer, int64_t count, uint8_t* out,
                   int64_t ld) noexcept {
  picture_kernels().blocks(coefficients, last, quantizer, count, out, ld);
}

void strata_chroma(const uint8_t* near, const uint8_t* far, int64_t count, int across, int down, uint8_t* out,
                   uint16_t* workspace) noexcept {
  picture_kernels().chroma(near, far, count, across, down, out, workspace);
}

void strata_colours(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int64_t count, uint8_t* r, uint8_t* g,
                    uint8_t* b) noexcept {
  picture_kernels().colours(y, cb, cr, count, r, g, b);
}

void strata_resample(const uint8_t* in, int64_t rows, int64_t width, int64_t ld, const Taps* down, const Taps* across,
                     uint8_t* out, float* workspace) noexcept {
  picture_kernels().resample(in, rows, width, ld, *down, *across, out, workspace);
}

}  // extern "C"
