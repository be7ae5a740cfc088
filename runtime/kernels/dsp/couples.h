/* Pointwise convolution, all pairs of output channels for one group of pixels: the fast path.
 *
 * The input is a group of the tile and the weight streams of pointwise.h. There a pair of input
 * channels takes one word of bytes or, if `wide`, two of halfwords: w[n][j], w[n][j + pairs], then
 * those of n + 1. The output is 4 (or 3) pixels in every plane. It serves s = 0 with int8's range
 * as the clamp. One asm statement runs through the whole stream, because gcc can't keep eight
 * accumulators in 14 registers, nor the pointers at the end of a sum.
 *
 * Cycles of 4 pixels x 2 channels (DDI 0439, 3.3.1): 17 for a pair of input channels (16 wide), of
 * which 8 are SMLADs. The words of the group's first pairs, or of half of their pixels, are held in
 * FPU registers. A VMOV from there costs 1 cycle; a load costs as little only in a run of loads.
 * Such a pair takes 15.5 or 16 cycles (15 wide). Biases, requantising, stores and the loop take 38.
 */
#ifndef MBN_DSP_COUPLES_H
#define MBN_DSP_COUPLES_H

#include "dsp/pointwise.h"

#if MBN_DSP && defined(__ARM_FP)

#define MBN_DSP_TWICE 14

/* Word mbn_k of the weights, behind the two biases. */
#define MBN_CW "[%[w], #mbn_w+8+4*mbn_k]\n\t"
#define MBN_CW0 "[%[w], #mbn_w+8+8*mbn_k]\n\t"
#define MBN_CW1 "[%[w], #mbn_w+12+8*mbn_k]\n\t"

#define MBN_C_UNPACK(FROM)                                                                        \
    "sxtb16 %[w0], %[" FROM "]\n\t"                                                               \
    "sxtb16 %[w1], %[" FROM "], ror #8\n\t"

/* One pixel, whose word is held in FPU register S. A: its accumulators; O: their addends. */
#define MBN_C_HELD(S, A, O)                                                                       \
    "vmov %[t0], " S "\n\t"                                                                       \
    "smlad %[a" #A "0], %[t0], %[w0], %[a" #O "0]\n\t"                                            \
    "smlad %[a" #A "1], %[t0], %[w1], %[a" #O "1]\n\t"

#define MBN_C_PAIR(S0, S1, S2, S3, O0, O1, O2, O3)                                                \
    MBN_C_HELD(S0, 0, O0) MBN_C_HELD(S1, 1, O1) MBN_C_HELD(S2, 2, O2) MBN_C_HELD(S3, 3, O3)

/* Two pairs whose words are in FPU registers: the weights of both are loaded in one run. */
#define MBN_C_HELD2(K, S0, S1, S2, S3, S4, S5, S6, S7, O0, O1, O2, O3)                            \
    ".if %c[held] > " #K "\n\t"                                                                   \
    ".if %c[wide]\n\t"                                                                            \
    "ldr.w %[w0], [%[w], #mbn_w+8+8*" #K "]\n\t"                                                  \
    "ldr.w %[w1], [%[w], #mbn_w+12+8*" #K "]\n\t" MBN_C_PAIR(S0, S1, S2, S3, O0, O1, O2, O3)      \
    "ldr.w %[w0], [%[w], #mbn_w+16+8*" #K "]\n\t"                                                 \
    "ldr.w %[w1], [%[w], #mbn_w+20+8*" #K "]\n\t" MBN_C_PAIR(S4, S5, S6, S7, 0, 1, 2, 3)          \
    ".else\n\t"                                                                                   \
    "ldr.w %[w1], [%[w], #mbn_w+8+4*" #K "]\n\t"                                                  \
    "ldr.w %[t1], [%[w], #mbn_w+12+4*" #K "]\n\t" MBN_C_UNPACK("w1")                              \
    MBN_C_PAIR(S0, S1, S2, S3, O0, O1, O2, O3) MBN_C_UNPACK("t1")                                 \
    MBN_C_PAIR(S4, S5, S6, S7, 0, 1, 2, 3)                                                        \
    ".endif\n\t"                                                                                  \
    ".endif\n\t"

#define MBN_C_HELD_PAIRS                                                                          \
    MBN_C_HELD2(0, "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", 3, 3, 3, 3)                    \
    MBN_C_HELD2(2, "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", 0, 1, 2, 3)              \
    MBN_C_HELD2(4, "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", 0, 1, 2, 3)            \
    ".if %c[held] > 6\n\t"                                                                        \
    ".if %c[wide]\n\t"                                                                            \
    "ldr.w %[w0], [%[w], #mbn_w+8+48]\n\t"                                                        \
    "ldr.w %[w1], [%[w], #mbn_w+12+48]\n\t"                                                       \
    ".else\n\t"                                                                                   \
    "ldr.w %[w1], [%[w], #mbn_w+8+24]\n\t" MBN_C_UNPACK("w1")                                     \
    ".endif\n\t" MBN_C_PAIR("s24", "s25", "s26", "s27", 0, 1, 2, 3) ".endif\n\t"

/* A pair whose pixels 2 and 3 are held in S2 and S3: one run of loads instead of two. */
#define MBN_C_HALF(K, S2, S3, O0, O1, O2, O3)                                                     \
    ".if %c[half] > " #K "\n\t"                                                                   \
    ".if %c[wide]\n\t"                                                                            \
    "ldr.w %[w0], [%[w], #mbn_w+8+8*" #K "]\n\t"                                                  \
    "ldr.w %[w1], [%[w], #mbn_w+12+8*" #K "]\n\t"                                                 \
    "ldr.w %[t0], [%[t], #16*" #K "]\n\t"                                                         \
    "ldr.w %[t1], [%[t], #16*" #K "+4]\n\t"                                                       \
    ".else\n\t"                                                                                   \
    "ldr.w %[w1], [%[w], #mbn_w+8+4*" #K "]\n\t"                                                  \
    "ldr.w %[t0], [%[t], #16*" #K "]\n\t"                                                         \
    "ldr.w %[t1], [%[t], #16*" #K "+4]\n\t" MBN_C_UNPACK("w1")                                    \
    ".endif\n\t" MBN_PW_PIXELS2(0, 1, O0, O1)                                                     \
    MBN_C_HELD(S2, 2, O2) MBN_C_HELD(S3, 3, O3) ".endif\n\t"

#define MBN_C_HALF_PAIRS                                                                          \
    MBN_C_HALF(0, "s0", "s1", 3, 3, 3, 3) MBN_C_HALF(1, "s2", "s3", 0, 1, 2, 3)                   \
    MBN_C_HALF(2, "s4", "s5", 0, 1, 2, 3) MBN_C_HALF(3, "s6", "s7", 0, 1, 2, 3)                   \
    MBN_C_HALF(4, "s8", "s9", 0, 1, 2, 3) MBN_C_HALF(5, "s10", "s11", 0, 1, 2, 3)                 \
    MBN_C_HALF(6, "s12", "s13", 0, 1, 2, 3) MBN_C_HALF(7, "s14", "s15", 0, 1, 2, 3)               \
    MBN_C_HALF(8, "s16", "s17", 0, 1, 2, 3) MBN_C_HALF(9, "s18", "s19", 0, 1, 2, 3)               \
    MBN_C_HALF(10, "s20", "s21", 0, 1, 2, 3) MBN_C_HALF(11, "s22", "s23", 0, 1, 2, 3)             \
    MBN_C_HALF(12, "s24", "s25", 0, 1, 2, 3) MBN_C_HALF(13, "s26", "s27", 0, 1, 2, 3)

/* Pixels 2 and 3 of the first pairs into d0, d1, ... */
#define MBN_C_HOLD_HALF(K)                                                                        \
    ".if %c[half] > " #K "\n\tvldr d" #K ", [%[t], #16*" #K "+8]\n\t.endif\n\t"
#define MBN_C_HOLD_HALVES                                                                         \
    MBN_C_HOLD_HALF(0) MBN_C_HOLD_HALF(1) MBN_C_HOLD_HALF(2) MBN_C_HOLD_HALF(3)                   \
    MBN_C_HOLD_HALF(4) MBN_C_HOLD_HALF(5) MBN_C_HOLD_HALF(6) MBN_C_HOLD_HALF(7)                   \
    MBN_C_HOLD_HALF(8) MBN_C_HOLD_HALF(9) MBN_C_HOLD_HALF(10) MBN_C_HOLD_HALF(11)                 \
    MBN_C_HOLD_HALF(12) MBN_C_HOLD_HALF(13)

/* A pair with nothing in FPU registers. */
#define MBN_C_STEP4(O0, O1, O2, O3)                                                               \
    ".if %c[wide]\n\t"                                                                            \
    "ldr.w %[w0], " MBN_CW0 "ldr.w %[w1], " MBN_CW1                                               \
    "ldr.w %[t0], [%[t], #16*mbn_k]\n\t"                                                          \
    "ldr.w %[t1], [%[t], #16*mbn_k+4]\n\t"                                                        \
    ".else\n\t"                                                                                   \
    "ldr.w %[w1], " MBN_CW                                                                        \
    "ldr.w %[t0], [%[t], #16*mbn_k]\n\t"                                                          \
    "ldr.w %[t1], [%[t], #16*mbn_k+4]\n\t" MBN_C_UNPACK("w1")                                     \
    ".endif\n\t" MBN_PW_PIXELS2(0, 1, O0, O1)                                                     \
    "ldr.w %[t0], [%[t], #16*mbn_k+8]\n\t"                                                        \
    "ldr.w %[t1], [%[t], #16*mbn_k+12]\n\t" MBN_PW_PIXELS2(2, 3, O2, O3)

#define MBN_C_STEP3(O0, O1, O2)                                                                   \
    ".if %c[wide]\n\t"                                                                            \
    "ldr.w %[w0], " MBN_CW0 "ldr.w %[w1], " MBN_CW1                                               \
    "ldr.w %[t0], [%[t], #16*mbn_k]\n\t"                                                          \
    "ldr.w %[t1], [%[t], #16*mbn_k+4]\n\t"                                                        \
    "ldr.w %[t2], [%[t], #16*mbn_k+8]\n\t"                                                        \
    ".else\n\t"                                                                                   \
    "ldr.w %[w1], " MBN_CW                                                                        \
    "ldr.w %[t0], [%[t], #16*mbn_k]\n\t"                                                          \
    "ldr.w %[t1], [%[t], #16*mbn_k+4]\n\t"                                                        \
    "ldr.w %[t2], [%[t], #16*mbn_k+8]\n\t" MBN_C_UNPACK("w1")                                     \
    ".endif\n\t" MBN_PW_PIXELS2(0, 1, O0, O1)                                                     \
    "smlad %[a20], %[t2], %[w0], %[a" #O2 "0]\n\t"                                                \
    "smlad %[a21], %[t2], %[w1], %[a" #O2 "1]\n\t"

/* The pairs from mbn_k on, `run` in all; then `turns` runs of 64. */
#define MBN_C_PAIRS(STEP)                                                                         \
    ".rept %c[run]-mbn_k\n\t" STEP MBN_PW_NEXT ".endr\n\t"                                        \
    ".if %c[turns]\n\t"                                                                           \
    "mov.w %[w0], #%c[turns]\n\t"                                                                 \
    "vmov %[turn], %[w0]\n\t"                                                                     \
    "vmov %[start], %[t]\n\t"                                                                     \
    "addw %[t], %[t], #16*%c[run]\n\t"                                                            \
    "addw %[w], %[w], #(4+4*%c[wide])*%c[run]\n"                                                  \
    "2:\n\t"                                                                                      \
    ".set mbn_k, 0\n\t"                                                                           \
    ".rept 64\n\t" STEP MBN_PW_NEXT ".endr\n\t"                                                   \
    "addw %[t], %[t], #16*64\n\t"                                                                 \
    "addw %[w], %[w], #(4+4*%c[wide])*64\n\t"                                                     \
    "vmov %[w0], %[turn]\n\t"                                                                     \
    "subs %[w0], %[w0], #1\n\t"                                                                   \
    "vmov %[turn], %[w0]\n\t"                                                                     \
    "bne 2b\n\t"                                                                                  \
    "vmov %[t], %[start]\n\t"                                                                     \
    ".set mbn_k, 0\n\t"                                                                           \
    ".endif\n\t"                                                                                  \
    ".if %c[wide]\n\t.set mbn_k, 2*mbn_k\n\t.endif\n\t"

#define MBN_C_STORE(A, M, TO, AT)                                                                 \
    "smmulr %[" A "], %[" A "], %[" M "]\n\t"                                                     \
    "ssat %[" A "], #8, %[" A "]\n\t"                                                             \
    "strb.w %[" A "], [%[" TO "], #mbn_o+" AT "]\n\t"

/* Pixels 0 and 1 at t0, FAR pixels at TO: a group may end in the band's next row. */
#define MBN_C_TILE4(TO)                                                                           \
    MBN_C_STORE("a00", "w0", "t0", "0")                                                           \
    MBN_C_STORE("a10", "w0", "t0", "1")                                                           \
    MBN_C_STORE("a20", "w0", TO, "2")                                                             \
    MBN_C_STORE("a30", "w0", TO, "3")                                                             \
    MBN_C_STORE("a01", "w1", "t0", "%c[plane]")                                                   \
    MBN_C_STORE("a11", "w1", "t0", "%c[plane]+1")                                                 \
    MBN_C_STORE("a21", "w1", TO, "%c[plane]+2")                                                   \
    MBN_C_STORE("a31", "w1", TO, "%c[plane]+3")

#define MBN_C_TAIL4                                                                               \
    "ldr.w %[w0], " MBN_CW "ldr.w %[w1], [%[w], #mbn_w+12+4*mbn_k]\n\t"                           \
    "vmov %[t0], %[out]\n\t"                                                                      \
    ".if %c[crosses]\n\t"                                                                         \
    "vmov %[t1], %[jump]\n\t"                                                                     \
    "add.w %[t1], %[t1], %[t0]\n\t" MBN_C_TILE4("t1") ".else\n\t" MBN_C_TILE4("t0") ".endif\n\t"  \
    ".set mbn_w, mbn_w+16+4*mbn_k\n\t"                                                            \
    ".set mbn_o, mbn_o+2*%c[plane]\n\t"

#define MBN_C_NEXT4                                                                               \
    "addw %[t0], %[t0], #mbn_o\n\t"                                                               \
    "vmov %[out], %[t0]\n\t"                                                                      \
    "addw %[w], %[w], #mbn_w\n\t"                                                                 \
    "vmov %[t1], %[end]\n\t"                                                                      \
    "cmp %[w], %[t1]\n\t"                                                                         \
    "bne.w 1b\n\t"

#define MBN_C_TAIL3                                                                               \
    "ldr.w %[w0], " MBN_CW "ldr.w %[w1], [%[w], #mbn_w+12+4*mbn_k]\n\t"                           \
    MBN_C_STORE("a00", "w0", "out", "0")                                                          \
    MBN_C_STORE("a10", "w0", "out", "1")                                                          \
    MBN_C_STORE("a20", "w0", "out", "2")                                                          \
    MBN_C_STORE("a01", "w1", "out", "%c[plane]")                                                  \
    MBN_C_STORE("a11", "w1", "out", "%c[plane]+1")                                                \
    MBN_C_STORE("a21", "w1", "out", "%c[plane]+2")                                                \
    "addw %[out], %[out], #2*%c[plane]\n\t"                                                       \
    "addw %[w], %[w], #16+4*mbn_k\n\t"                                                            \
    "vmov %[t1], %[end]\n\t"                                                                      \
    "cmp %[w], %[t1]\n\t"                                                                         \
    "bne.w 1b\n\t"

/* `.rept` hides its length from gcc, which counts lines. These lines make up for the longest
 * run. */
#define MBN_C_LINES MBN_LINES_1024 MBN_LINES_256

/* A pointer or a number in an FPU register. */
MBN_INLINE float mbn_dsp_wait(uintptr_t value)
{
    const uint32_t word = (uint32_t)value;
    float bits;
    __builtin_memcpy(&bits, &word, sizeof bits);
    return bits;
}

/* All of one pair of output channels, repeated until the stream ends. */
#define MBN_C_TEXT4                                                                               \
    ".if %c[held] > 6\n\tvldmia %[t], {s0-s27}\n\t"                                               \
    ".elseif %c[held] > 4\n\tvldmia %[t], {s0-s23}\n\t"                                           \
    ".elseif %c[held] > 2\n\tvldmia %[t], {s0-s15}\n\t"                                           \
    ".elseif %c[held]\n\tvldmia %[t], {s0-s7}\n\t"                                                \
    ".endif\n\t" MBN_C_HOLD_HALVES                                                                \
    "\n1:\n\t"                                                                                     \
    ".set mbn_w, 0\n\t.set mbn_o, 0\n\t"                                                          \
    ".rept %c[copies]\n\t"                                                                        \
    "ldr.w %[a30], [%[w], #mbn_w]\n\t"                                                            \
    "ldr.w %[a31], [%[w], #mbn_w+4]\n\t" MBN_C_HELD_PAIRS MBN_C_HALF_PAIRS                        \
    ".set mbn_k, %c[held]+%c[half]\n\t"                                                           \
    ".ifeq mbn_k\n\t" MBN_C_STEP4(3, 3, 3, 3) MBN_PW_NEXT ".endif\n\t"                            \
    MBN_C_PAIRS(MBN_C_STEP4(0, 1, 2, 3)) MBN_C_TAIL4 ".endr\n\t" MBN_C_NEXT4 MBN_C_LINES

#define MBN_C_TEXT3                                                                               \
    ".set mbn_w, 0\n\t.set mbn_o, 0\n"                                                            \
    "1:\n\t"                                                                                      \
    "ldr.w %[a20], [%[w]]\n\t"                                                                    \
    "ldr.w %[a21], [%[w], #4]\n\t"                                                                \
    ".set mbn_k, 0\n\t" MBN_C_STEP3(2, 2, 2) MBN_PW_NEXT                                          \
    MBN_C_PAIRS(MBN_C_STEP3(0, 1, 2)) MBN_C_TAIL3 MBN_C_LINES

#define MBN_C_CONSTANTS                                                                           \
    [end] "t"(end), [wide] "i"(wide), [run] "i"(run), [turns] "i"(turns),       \
        [plane] "i"(plane_bytes)

#define MBN_C_CLOBBERS                                                                            \
    "memory", "cc", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",     \
        "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23"

/* Four pixels of 2 * couples planes. All but the pointers and jump are constants; `crosses`:
 * pixels 2 and 3 lie `jump` bytes further. */
MBN_INLINE int32_t mbn_dsp_couples4(const int16_t *tile, const int32_t *stream, int8_t *out,
                                    const int32_t pairs, const int32_t wide, const int32_t couples,
                                    const int32_t plane_bytes, const int32_t crosses,
                                    const int32_t jump)
{
    const int32_t run = (pairs - 1) % MBN_DSP_RUN + 1, turns = (pairs - 1) / MBN_DSP_RUN;
    const int32_t words = (wide ? 2 : 1) * pairs + 4;
    /* a pair held whole saves 1.5 cycles (1 wide), half of one saves 1 */
    const int halves = pairs >= (wide ? 8 : 11);
    const int32_t half = !halves ? 0 : turns > 0 && run > 12 ? 12 : run < 14 ? run : 14;
    const int32_t held = halves || turns > 0 ? 0 : pairs >= 7 ? 7 : pairs / 2 * 2;
    /* short sums twice in a turn of the loop, which costs 8 */
    const int copies = couples % 2 == 0 && pairs <= MBN_DSP_TWICE ? 2 : 1;
    const float end = mbn_dsp_wait((uintptr_t)(stream + couples * words));
    const float far = mbn_dsp_wait((uintptr_t)jump);
    float at = mbn_dsp_wait((uintptr_t)out), turn, start;
    int32_t a00, a01, a10, a11, a20, a21, a30, a31;
    uint32_t w0, w1, t0, t1;
#define MBN_C_OUT4                                                                                \
    [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11), [a20] "=&r"(a20),     \
        [a21] "=&r"(a21), [a30] "=&r"(a30), [a31] "=&r"(a31), [w0] "=&r"(w0), [w1] "=&r"(w1),     \
        [t0] "=&r"(t0), [t1] "=&r"(t1), [t] "+r"(tile), [w] "+r"(stream), [out] "+t"(at)
    if (turns > 0) {
        __asm__ volatile(MBN_C_TEXT4
                         : MBN_C_OUT4, [turn] "=&t"(turn), [start] "=&t"(start)
                         : MBN_C_CONSTANTS, [held] "i"(held), [half] "i"(half),
                           [crosses] "i"(crosses), [jump] "t"(far), [copies] "i"(1)
                         : MBN_C_CLOBBERS);
    } else {
        __asm__ volatile(MBN_C_TEXT4
                         : MBN_C_OUT4, [turn] "=X"(turn), [start] "=X"(start)
                         : MBN_C_CONSTANTS, [held] "i"(held), [half] "i"(half),
                           [crosses] "i"(crosses), [jump] "t"(far), [copies] "i"(copies)
                         : MBN_C_CLOBBERS, "s24", "s25", "s26", "s27");
    }
    return 0;
}

/* The same for three pixels: maps of 3 x 3, and pixels left over at the end of a row. */
MBN_INLINE int32_t mbn_dsp_couples3(const int16_t *tile, const int32_t *stream, int8_t *out,
                                    const int32_t pairs, const int32_t wide, const int32_t couples,
                                    const int32_t plane_bytes)
{
    const int32_t run = (pairs - 1) % MBN_DSP_RUN + 1, turns = (pairs - 1) / MBN_DSP_RUN;
    const int32_t words = (wide ? 2 : 1) * pairs + 4;
    const float end = mbn_dsp_wait((uintptr_t)(stream + couples * words));
    float turn, start;
    int32_t a00, a01, a10, a11, a20, a21;
    uint32_t w0, w1, t0, t1, t2;
    __asm__ volatile(MBN_C_TEXT3
                     : [a00] "=&r"(a00), [a01] "=&r"(a01), [a10] "=&r"(a10), [a11] "=&r"(a11),
                       [a20] "=&r"(a20), [a21] "=&r"(a21), [w0] "=&r"(w0), [w1] "=&r"(w1),
                       [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t] "+r"(tile),
                       [w] "+r"(stream), [out] "+r"(out), [turn] "=&t"(turn), [start] "=&t"(start)
                     : MBN_C_CONSTANTS
                     : "memory", "cc");
    return 0;
}

#else

/* The same in C, for the host. */
MBN_INLINE int32_t mbn_dsp_couples_c(const int16_t *tile, const int32_t *stream, int8_t *out,
                                     const int32_t pairs, const int32_t wide, const int32_t couples,
                                     const int32_t plane_bytes, const int32_t pixels,
                                     const int32_t split, const int32_t jump)
{
    for (int32_t n = 0; n < couples; n++) {
        int32_t acc[8];
        acc[6] = stream[0];
        acc[7] = stream[1];
        mbn_dsp_chain_c(acc, (const void *)tile, (const void *)(stream + 2), pairs, wide, pixels);
        stream += 2 + (wide ? 2 : 1) * pairs;
        mbn_dsp_store_tile(acc, stream, out, plane_bytes, pixels, 2, split, jump, 0, -128, 127);
        stream += 2;
        out += 2 * plane_bytes;
    }
    return 0;
}

MBN_INLINE int32_t mbn_dsp_couples4(const int16_t *tile, const int32_t *stream, int8_t *out,
                                    const int32_t pairs, const int32_t wide, const int32_t couples,
                                    const int32_t plane_bytes, const int32_t crosses,
                                    const int32_t jump)
{
    return mbn_dsp_couples_c(tile, stream, out, pairs, wide, couples, plane_bytes, 4,
                             crosses ? 2 : 4, jump);
}

MBN_INLINE int32_t mbn_dsp_couples3(const int16_t *tile, const int32_t *stream, int8_t *out,
                                    const int32_t pairs, const int32_t wide, const int32_t couples,
                                    const int32_t plane_bytes)
{
    return mbn_dsp_couples_c(tile, stream, out, pairs, wide, couples, plane_bytes, 3, 3, 0);
}

#endif

#endif
