/* Depthwise up to 4x4 of four channels' rows for cores with Helium.
 *
 * What enters: the window's rows (planes, plane_bytes from channel to channel), for each four
 * channels a table of 16-byte weights a channel (byte 4 * kx + ky, zeros where the kernel is
 * smaller), bias[4], 2m[4] (m[4] in rounding `tflite`), and four each of the other words that
 * requantise (mbn_mve_store_value in mve/instructions.h). What leaves: int8 values in the
 * pointwise's tile, byte pixel * depth + channel.
 * Always holds: the rows are interleaved first (VST4) into a patch buffer: four bytes, one of
 * each row, for each column and padded column; any 16 bytes of it from a column on are one
 * output's whole window, so that one VMLADAV is one output. Lines of a band of two share the
 * buffer: the second line's weights lie `below` rows lower, a shift of each lane by bytes.
 */
#ifndef MBN_MVE_DEPTHWISE_H
#define MBN_MVE_DEPTHWISE_H

#include "mve/instructions.h"

#if MBN_MVE

#define MBN_DW_LOAD(T, AT)                                                                        \
    "vldrb" T ".8 q0, [%[row0]]" AT "\n\t"                                                        \
    "vldrb" T ".8 q1, [%[row1]]" AT "\n\t"                                                        \
    "vldrb" T ".8 q2, [%[row2]]" AT "\n\t"
#define MBN_DW_LOAD3(T, AT) "vldrb" T ".8 q3, [%[row3]]" AT "\n\t"
#define MBN_DW_SPREAD                                                                             \
    "vst40.8 {q0, q1, q2, q3}, [%[to]]\n\t"                                                       \
    "vst41.8 {q0, q1, q2, q3}, [%[to]]\n\t"                                                       \
    "vst42.8 {q0, q1, q2, q3}, [%[to]]\n\t"                                                       \
    "vst43.8 {q0, q1, q2, q3}, [%[to]]!\n\t"
#define MBN_DW_PLANE(LOADS, REST, GAP)                                                            \
    ".rept %c[planes]\n\t"                                                                        \
    ".rept %c[chunks]\n\t" LOADS MBN_DW_SPREAD ".endr\n\t" REST                                   \
    ".if %c[planes] > 1\n\t" GAP "add.w %[to], %[to], %[jump]\n\t.endif\n\t"                      \
    ".endr\n\t" MBN_LINES_64
#define MBN_DW_GAP                                                                                \
    ".if %c[gap] > 0\n\t"                                                                         \
    "addw %[row0], %[row0], %[gap]\n\t"                                                           \
    "addw %[row1], %[row1], %[gap]\n\t"                                                           \
    "addw %[row2], %[row2], %[gap]\n\t"                                                           \
    ".endif\n\t"
#define MBN_DW_GAP3                                                                               \
    ".if %c[gap] > 0\n\t"                                                                         \
    "addw %[row3], %[row3], %[gap]\n\t"                                                           \
    ".endif\n\t"
#define MBN_DW_INTERLEAVE(TEXT, ...)                                                              \
    __asm__ volatile(TEXT                                                                         \
                     : [row0] "+r"(row0), [row1] "+r"(row1), [row2] "+r"(row2), [to] "+r"(to)     \
                           __VA_ARGS__                                                            \
                     : [chunks] "i"(width / 16), [rest] "r"(width % 16), [planes] "i"(planes),    \
                       [gap] "i"(plane_bytes - width / 16 * 16),                                  \
                       [jump] "i"(4 * columns - 64 * ((width + 15) / 16))                         \
                     : "q0", "q1", "q2", "q3", "p0", "memory", "cc")

#endif

/* Interleaves the rows of `planes` planes into columns of four bytes. `to` is written column by
 * column, with 4 * columns bytes from plane to plane; up to 15 columns after each plane are
 * overwritten. All but the pointers are constants. */
MBN_INLINE void mbn_mve_interleave(const int8_t *row0, const int8_t *row1, const int8_t *row2,
                                   const int8_t *row3, int8_t *to, const int32_t rows,
                                   const int32_t planes, const int32_t plane_bytes,
                                   const int32_t columns, const int32_t width)
{
#if MBN_MVE
    /* the fourth row of three is whatever q3 holds: it meets zero weights */
    if (rows == 4 && width % 16 != 0) {
        MBN_DW_INTERLEAVE(MBN_DW_PLANE(MBN_DW_LOAD("", ", #16") MBN_DW_LOAD3("", ", #16"),
                                       "vctp.8 %[rest]\n\tvpstttt\n\t" MBN_DW_LOAD("t", "")
                                           MBN_DW_LOAD3("t", "") MBN_DW_SPREAD,
                                       MBN_DW_GAP MBN_DW_GAP3),
                          , [row3] "+r"(row3));
    } else if (rows == 4) {
        MBN_DW_INTERLEAVE(MBN_DW_PLANE(MBN_DW_LOAD("", ", #16") MBN_DW_LOAD3("", ", #16"), "",
                                       MBN_DW_GAP MBN_DW_GAP3),
                          , [row3] "+r"(row3));
    } else if (width % 16 != 0) {
        MBN_DW_INTERLEAVE(MBN_DW_PLANE(MBN_DW_LOAD("", ", #16"),
                                       "vctp.8 %[rest]\n\tvpsttt\n\t" MBN_DW_LOAD("t", "")
                                           MBN_DW_SPREAD,
                                       MBN_DW_GAP), );
    } else {
        MBN_DW_INTERLEAVE(MBN_DW_PLANE(MBN_DW_LOAD("", ", #16"), "", MBN_DW_GAP), );
    }
#else
    const int8_t *const all[4] = {row0, row1, row2, row3};
    for (int32_t c = 0; c < planes; c++) {
        for (int32_t x = 0; x < width; x++) {
            for (int32_t k = 0; k < 4; k++) {
                to[4 * (c * columns + x) + k] = k < rows ? all[k][c * plane_bytes + x] : (int8_t)0;
            }
        }
    }
#endif
}

/* `columns` columns of zero points. */
MBN_INLINE void mbn_mve_border(int8_t *to, const int32_t columns, const int32_t zero_point)
{
    const uint32_t zeros = (uint8_t)zero_point * UINT32_C(0x01010101);
    MBN_UNROLL
    for (int32_t x = 0; x < columns; x++) {
        __builtin_memcpy(to + 4 * x, &zeros, 4);
    }
}

#if MBN_MVE

#define MBN_DW_MAC(ACC, FROM, Q)                                                                  \
    "vldrw.32 q4, " FROM "\n\t"                                                                   \
    "vmladav.s8 %[" ACC "], q4, " Q "\n\t"

#define MBN_DW_FAR0 "[%[p0], %[far]]"
#define MBN_DW_FAR1 "[%[p1], %[far]]"
#define MBN_DW_NEXT0 "[%[p0]], %[step]"
#define MBN_DW_NEXT1 "[%[p1]], %[step]"

/* The four sums of one pixel, with the biases, into q6. */
#define MBN_DW_SUMS                                                                               \
    "vmov q6[3], q6[1], %[a1], %[a3]\n\t"                                                         \
    "vmov q6[2], q6[0], %[a0], %[a2]\n\t"                                                         \
    "vadd.i32 q6, q6, q5\n\t"

#define MBN_DW_STORE                                                                              \
    "vstrb.32 q6, [%[out]]\n\t"                                                                   \
    "add %[out], %[out], %[depth]\n\t"

/* Weights into q0 to q3; `lower`: shifted by so many rows. */
#define MBN_DW_WEIGHTS                                                                            \
    "vldrw.32 q0, [%[words]]\n\t"                                                                 \
    "vldrw.32 q1, [%[words], #16]\n\t"                                                            \
    "vldrw.32 q2, [%[words], #32]\n\t"                                                            \
    "vldrw.32 q3, [%[words], #48]\n\t"                                                            \
    "vldrw.32 q5, [%[words], #64]\n\t"                                                            \
    "vldrw.32 q7, [%[words], #80]\n\t"

#define MBN_DW_LOWER                                                                              \
    "vshl.i32 q0, q0, %[down]\n\t"                                                                \
    "vshl.i32 q1, q1, %[down]\n\t"                                                                \
    "vshl.i32 q2, q2, %[down]\n\t"                                                                \
    "vshl.i32 q3, q3, %[down]\n\t"

#define MBN_DW_FIRST                                                                              \
    MBN_DW_MAC("a1", MBN_DW_FAR0, "q1")                                                           \
    MBN_DW_MAC("a0", MBN_DW_NEXT0, "q0")                                                          \
    MBN_DW_MAC("a3", MBN_DW_FAR1, "q3")                                                           \
    MBN_DW_MAC("a2", MBN_DW_NEXT1, "q2") MBN_DW_SUMS

/* For a clamp that is int8's range and no shift: each turn stores the pixel before. The order
 * was found by trying orders on llvm-mca's model: 17 cycles for 17 instructions. */
#define MBN_DW_LOOP                                                                               \
    "dls lr, %[count]\n"                                                                          \
    "1:\n\t"                                                                                      \
    "vrmulh.s32 q6, q6, q7\n\t"                                                                   \
    "vldrw.32 q4, " MBN_DW_FAR0 "\n\t"                                                            \
    "vmladav.s8 %[a1], q4, q1\n\t"                                                                \
    "vldrw.32 q4, " MBN_DW_NEXT0 "\n\t"                                                           \
    "vqmovnb.s32 q6, q6\n\t"                                                                      \
    "vmladav.s8 %[a0], q4, q0\n\t"                                                                \
    "vldrw.32 q4, " MBN_DW_FAR1 "\n\t"                                                            \
    "vqmovnb.s16 q6, q6\n\t"                                                                      \
    "vmladav.s8 %[a3], q4, q3\n\t"                                                                \
    "vldrw.32 q4, " MBN_DW_NEXT1 "\n\t"                                                           \
    "vmladav.s8 %[a2], q4, q2\n\t"                                                                \
    "vstrb.32 q6, [%[out]]\n\t"                                                                   \
    "vmov q6[3], q6[1], %[a1], %[a3]\n\t"                                                         \
    "vmov q6[2], q6[0], %[a0], %[a2]\n\t"                                                         \
    "add %[out], %[out], %[depth]\n\t"                                                            \
    "vadd.i32 q6, q6, q5\n\t"                                                                     \
    "le lr, 1b\n\t"

#define MBN_DW_LAST                                                                               \
    "vrmulh.s32 q6, q6, q7\n\t"                                                                   \
    "vqmovnb.s32 q6, q6\n\t"                                                                      \
    "vqmovnb.s16 q6, q6\n\t"                                                                      \
    "vstrb.32 q6, [%[out]]\n\t"

/* Any clamp and shift, pixel by pixel. */
#define MBN_DW_ANY(ROUND)                                                                         \
    "dls lr, %[count]\n"                                                                          \
    "1:\n\t"                                                                                      \
    "vldrw.32 q5, [%[words], #64]\n\t" MBN_DW_FIRST ROUND                                         \
    "vdup.32 q4, %[low]\n\t"                                                                      \
    "vdup.32 q5, %[high]\n\t"                                                                     \
    "vmax.s32 q6, q6, q4\n\t"                                                                     \
    "vmin.s32 q6, q6, q5\n\t" MBN_DW_STORE                                                        \
    "le lr, 1b\n\t"

#define MBN_DW_MULTIPLY "vrmulh.s32 q6, q6, q7\n\t"

#define MBN_DW_SHIFT                                                                              \
    "vldrw.32 q5, [%[words], #96]\n\t"                                                            \
    "vshl.i32 q6, q6, %[shift]\n\t"                                                               \
    "vadd.i32 q6, q6, q5\n\t" MBN_DW_MULTIPLY

/* `tflite`: the high product, the sign, the half and the zero point, the shift. */
#define MBN_DW_TFLITE                                                                             \
    "vldrw.32 q5, [%[words], #96]\n\t"                                                            \
    "vshr.s32 q4, q6, #31\n\t"                                                                    \
    "vqrdmulh.s32 q6, q6, q7\n\t"                                                                 \
    "vadd.i32 q4, q4, q5\n\t"                                                                     \
    "vldrw.32 q5, [%[words], #112]\n\t"                                                           \
    "vadd.i32 q6, q6, q4\n\t"                                                                     \
    "vshl.s32 q6, q6, q5\n\t"

/* By any multiplier: the left shift; the sign and the half, where something is shifted right. */
#define MBN_DW_TFLITE_ANY                                                                         \
    "vldrw.32 q5, [%[words], #128]\n\t"                                                           \
    "vshl.s32 q6, q6, q5\n\t"                                                                     \
    "vldrw.32 q5, [%[words], #160]\n\t"                                                           \
    "vshr.s32 q4, q6, #31\n\t"                                                                    \
    "vand q4, q4, q5\n\t"                                                                         \
    "vldrw.32 q5, [%[words], #144]\n\t"                                                           \
    "vqrdmulh.s32 q6, q6, q7\n\t"                                                                 \
    "vadd.i32 q4, q4, q5\n\t"                                                                     \
    "vldrw.32 q5, [%[words], #112]\n\t"                                                           \
    "vadd.i32 q6, q6, q4\n\t"                                                                     \
    "vshl.s32 q6, q6, q5\n\t"                                                                     \
    "vldrw.32 q5, [%[words], #96]\n\t"                                                            \
    "vadd.i32 q6, q6, q5\n\t"

#define MBN_DW_ASM(TEXT, COUNT, ...)                                                              \
    __asm__ volatile(TEXT                                                                         \
            : [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2), [a3] "=&Te"(a3), [p0] "+r"(p0),  \
              [p1] "+r"(p1), [out] "+l"(out)                                                      \
            : [words] "r"(words), [depth] "r"(depth), [count] "r"(COUNT), [far] "i"(4 * columns), \
              [step] "i"(4 * stride), [shift] "i"(shift), [down] "i"(8 * lower)__VA_ARGS__        \
            : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "lr", "memory", "cc")

#define MBN_DW_CLAMP , [low] "r"(low), [high] "r"(high)

/* `count` pixels of four channels. */
MBN_INLINE void mbn_mve_depthwise_line(const int8_t *patch, const int32_t *words, int8_t *out,
                                       const int32_t count, const int32_t stride,
                                       const int32_t columns, const int32_t depth,
                                       const int32_t lower, const int32_t shift, const int32_t low,
                                       const int32_t high)
{
    const int8_t *p0 = patch, *p1 = patch + 8 * columns;
    int32_t a0, a1, a2, a3;
    if (shift == MBN_TFLITE_ANY) {
        if (lower) {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_LOWER MBN_DW_ANY(MBN_DW_TFLITE_ANY), count,
                       MBN_DW_CLAMP);
        } else {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_ANY(MBN_DW_TFLITE_ANY), count, MBN_DW_CLAMP);
        }
    } else if (shift == MBN_TFLITE) {
        if (lower) {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_LOWER MBN_DW_ANY(MBN_DW_TFLITE), count, MBN_DW_CLAMP);
        } else {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_ANY(MBN_DW_TFLITE), count, MBN_DW_CLAMP);
        }
    } else if (shift > 0) {
        if (lower) {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_LOWER MBN_DW_ANY(MBN_DW_SHIFT), count, MBN_DW_CLAMP);
        } else {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_ANY(MBN_DW_SHIFT), count, MBN_DW_CLAMP);
        }
    } else if (low != -128 || high != 127) {
        if (lower) {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_LOWER MBN_DW_ANY(MBN_DW_MULTIPLY), count,
                       MBN_DW_CLAMP);
        } else {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_ANY(MBN_DW_MULTIPLY), count, MBN_DW_CLAMP);
        }
    } else if (count == 1) {
        if (lower) {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_LOWER MBN_DW_FIRST MBN_DW_LAST, count, );
        } else {
            MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_FIRST MBN_DW_LAST, count, );
        }
    } else if (lower) {
        MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_LOWER MBN_DW_FIRST MBN_DW_LOOP MBN_DW_LAST, count - 1, );
    } else {
        MBN_DW_ASM(MBN_DW_WEIGHTS MBN_DW_FIRST MBN_DW_LOOP MBN_DW_LAST, count - 1, );
    }
}

#else

MBN_INLINE void mbn_mve_depthwise_line(const int8_t *patch, const int32_t *words, int8_t *out,
                                       const int32_t count, const int32_t stride,
                                       const int32_t columns, const int32_t depth,
                                       const int32_t lower, const int32_t shift, const int32_t low,
                                       const int32_t high)
{
    const int8_t *weights = (const int8_t *)words;
    for (int32_t x = 0; x < count; x++) {
        for (int32_t c = 0; c < 4; c++) {
            const int8_t *window = patch + 4 * (c * columns + x * stride);
            int32_t sum = words[16 + c];
            for (int32_t k = lower; k < 16; k++) {
                int32_t weight = k % 4 >= lower ? weights[16 * c + k - lower] : 0;
                sum += window[k] * weight;
            }
            int32_t factor = words[20 + c];
            out[x * depth + c] = mbn_mve_store_value(sum, shift < 0 ? factor : factor / 2,
                                                     words + 24 + c, 4, shift, low, high);
        }
    }
}

#endif

/* One band (one line, or two that share their rows) of `channels` (1 to 4) channels. row0 ..:
 * of the first channel; rows beyond `rows` repeat the last. below: rows from one line's window to
 * the other's. patch: 4 * columns + 16 columns.
 * Where a plane has at least as many spare columns as either border (columns == plane_bytes), the
 * planes are interleaved all at once and the spare columns become the borders. */
MBN_INLINE int32_t mbn_mve_depthwise(
    const int8_t *row0, const int8_t *row1, const int8_t *row2, const int8_t *row3,
    const int32_t *words, int8_t *patch, int8_t *tile, const int32_t plane_bytes,
    const int32_t channels, const int32_t rows, const int32_t lines, const int32_t below,
    const int32_t columns, const int32_t left, const int32_t right, const int32_t width,
    const int32_t zero_point, const int32_t outputs, const int32_t stride, const int32_t depth,
    const int32_t shift, const int32_t low, const int32_t high)
{
    const int together = columns == plane_bytes;
    mbn_mve_interleave(row0, row1, row2, row3, patch + 4 * left, rows, together ? 1 : channels,
                       plane_bytes, columns, together ? channels * plane_bytes : width);
    MBN_UNROLL
    for (int32_t c = 0; c < channels; c++) {
        int8_t *to = patch + 4 * c * columns;
        if (!together || c == 0) {
            mbn_mve_border(to, left, zero_point);
        }
        mbn_mve_border(to + 4 * (left + width), together ? columns - width : right, zero_point);
    }
    mbn_mve_depthwise_line(patch, words, tile, outputs, stride, columns, depth, 0, shift, low,
                           high);
    if (lines == 2) {
        mbn_mve_depthwise_line(patch, words, tile + outputs * depth, outputs, stride, columns,
                               depth, below, shift, low, high);
    }
    return 0;
}

#endif
