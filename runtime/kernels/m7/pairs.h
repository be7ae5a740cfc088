/* Depthwise 3x3, stride 1, on the Cortex-M7: two output rows of one channel at once.
 *
 * The input is pointers to four rows (even width, 4 or more) and a channel's words; int16 values of
 * both output rows are written to the tile. A strip is two columns of outputs. At the edges the
 * zero points beside the map are shifted into the words, so that no output needs code of its own.
 * All else is as in strips.h.
 *
 * A word of the two rows in the middle is loaded and unpacked once for both output rows: 14
 * instructions an output instead of 17. All 14 registers are taken (five of weights, four sums, two
 * halves of a word, the word, the multiplier, the place); row pointers and bias come from the
 * stack. By LLVM's model of the core four outputs take 30 cycles, of which 28 are multiplies: in
 * nearly every cycle it issues two instructions. The second row's outputs are requantised and
 * stored while the next strip's first row is summed.
 */
#ifndef MBN_M7_PAIRS_H
#define MBN_M7_PAIRS_H

#include "dsp/strips.h"

#if MBN_DSP && defined(__ARM_FP)

/* Strips inside a row that follow each other without a loop. */
#define MBN_R_STRAIGHT 10
#define MBN_R_TURN 6 /* strips of a turn of the loop, where there are more: whole groups */
#define MBN_R_REACH 4096 /* of a store's immediate offset */

/* The assembler's own variables. mbn_x: the strip's column, from the row pointers. mbn_p: the
 * pixel of its first output, from `to`. mbn_e: 1 at the left edge, 2 at the right one. mbn_xn,
 * mbn_en: the same of the next strip, if mbn_go. mbn_b: whether y2 and y3 hold outputs of the
 * strip before. */
#define MBN_R_PLACE(P) "#2*((" P ")/3*%c[halves]+(" P ")%%3*2)"

#define MBN_R_WORD(X, E)                                                                          \
    "ldr.w %[f], [%[f], #" X "]\n\t"                                                              \
    ".if " E " == 1\n\t"                                                                          \
    "lsl.w %[f], %[f], #8\n\t"                                                                    \
    "orr.w %[f], %[f], #%c[zero]\n\t"                                                             \
    ".elseif " E " == 2\n\t"                                                                      \
    "lsr.w %[f], %[f], #8\n\t"                                                                    \
    "orr.w %[f], %[f], #%c[zero]<<24\n\t"                                                         \
    ".endif\n\t"
#define MBN_R_IF_B(TEXT) ".if mbn_b\n\t" TEXT ".endif\n\t"
#define MBN_R_IF_GO(TEXT) ".if mbn_go\n\t" TEXT ".endif\n\t"

/* An output of the second row, `next` bytes further: beyond an immediate offset if `far`. */
#define MBN_R_STORE_B(Y, P)                                                                       \
    ".if %c[far]\n\t"                                                                             \
    "addw %[to], %[to], #%c[next]&4095\n\t"                                                       \
    ".if %c[next] >= 4096\n\tadd.w %[to], %[to], #%c[next]&0xf000\n\t.endif\n\t"                  \
    "strh.w %[" Y "], [%[to], " MBN_R_PLACE(P) "]\n\t"                                            \
    ".if %c[next] >= 4096\n\tsub.w %[to], %[to], #%c[next]&0xf000\n\t.endif\n\t"                  \
    "subw %[to], %[to], #%c[next]&4095\n\t"                                                       \
    ".else\n\t"                                                                                   \
    "strh.w %[" Y "], [%[to], " MBN_R_PLACE(P) "+%c[next]]\n\t"                                   \
    ".endif\n\t"

#define MBN_R_BEGIN                                                                               \
    ".set mbn_b, 0\n\t"                                                                           \
    "ldr.w %[f], %[p0]\n\t" MBN_R_WORD("mbn_x", "mbn_e")                                          \
    "ldr.w %[y0], %[bias]\n\t"                                                                    \
    "ldr.w %[y1], %[bias]\n\t"                                                                    \
    "sxtb16 %[o], %[f], ror #8\n\t"

#define MBN_R_STRIP                                                                               \
    "sxtb16 %[e], %[f]\n\t" MBN_R_IF_B("smmulr %[y2], %[y2], %[m]\n\t")                           \
    "ldr.w %[f], %[p1]\n\t"                                                                       \
    MBN_R_IF_B("smmulr %[y3], %[y3], %[m]\n\tssat %[y2], #8, %[y2]\n\t")                          \
    "smlad %[y1], %[o], %[w0], %[y1]\n\t" MBN_R_WORD("mbn_x", "mbn_e")                            \
    "smlabb %[y0], %[o], %[wa], %[y0]\n\t"                                                        \
    "sxtb16 %[o], %[f], ror #8\n\t"                                                               \
    "smlad %[y0], %[e], %[w0], %[y0]\n\t"                                                         \
    "smlatb %[y1], %[e], %[wa], %[y1]\n\t" MBN_R_IF_B(MBN_R_STORE_B("y2", "mbn_p-2"))             \
    "sxtb16 %[e], %[f]\n\t"                                                                       \
    "smlabt %[y0], %[o], %[wa], %[y0]\n\t"                                                        \
    "ldr.w %[y2], %[bias]\n\t"                                                                    \
    "smlabb %[y2], %[o], %[wa], %[y2]\n\t" MBN_R_IF_B("ssat %[y3], #8, %[y3]\n\t")                \
    "smlad %[y1], %[o], %[w1], %[y1]\n\t" MBN_R_IF_B(MBN_R_STORE_B("y3", "mbn_p-1"))              \
    "smlatt %[y1], %[e], %[wa], %[y1]\n\t"                                                        \
    "ldr.w %[f], %[p2]\n\t"                                                                       \
    "smlad %[y2], %[e], %[w0], %[y2]\n\t"                                                         \
    "ldr.w %[y3], %[bias]\n\t"                                                                    \
    "smlad %[y3], %[o], %[w0], %[y3]\n\t" MBN_R_WORD("mbn_x", "mbn_e")                            \
    "smlad %[y0], %[e], %[w1], %[y0]\n\t"                                                         \
    "sxtb16 %[o], %[f], ror #8\n\t"                                                               \
    "smlatb %[y3], %[e], %[wa], %[y3]\n\t"                                                        \
    "sxtb16 %[e], %[f]\n\t"                                                                       \
    "smlabb %[y0], %[o], %[wb], %[y0]\n\t"                                                        \
    "smlad %[y0], %[e], %[w2], %[y0]\n\t"                                                         \
    "smlad %[y1], %[o], %[w2], %[y1]\n\t"                                                         \
    "ldr.w %[f], %[p3]\n\t"                                                                       \
    "smlatb %[y1], %[e], %[wb], %[y1]\n\t"                                                        \
    "smmulr %[y0], %[y0], %[m]\n\t" MBN_R_WORD("mbn_x", "mbn_e")                                  \
    "smlad %[y3], %[o], %[w1], %[y3]\n\t"                                                         \
    "ssat %[y0], #8, %[y0]\n\t"                                                                   \
    "smmulr %[y1], %[y1], %[m]\n\t"                                                               \
    "strh.w %[y0], [%[to], " MBN_R_PLACE("mbn_p") "]\n\t"                                         \
    "smlabt %[y2], %[o], %[wa], %[y2]\n\t"                                                        \
    "ssat %[y1], #8, %[y1]\n\t"                                                                   \
    "smlad %[y2], %[e], %[w1], %[y2]\n\t"                                                         \
    "sxtb16 %[o], %[f], ror #8\n\t"                                                               \
    "smlatt %[y3], %[e], %[wa], %[y3]\n\t"                                                        \
    "sxtb16 %[e], %[f]\n\t" MBN_R_IF_GO("ldr.w %[f], %[p0]\n\t")                                  \
    "strh.w %[y1], [%[to], " MBN_R_PLACE("mbn_p+1") "]\n\t"                                       \
    "smlabb %[y2], %[o], %[wb], %[y2]\n\t"                                                        \
    "smlad %[y2], %[e], %[w2], %[y2]\n\t" MBN_R_IF_GO(MBN_R_WORD("mbn_xn", "mbn_en"))             \
    "smlad %[y3], %[o], %[w2], %[y3]\n\t" MBN_R_IF_GO("sxtb16 %[o], %[f], ror #8\n\t")            \
    "smlatb %[y3], %[e], %[wb], %[y3]\n\t"                                                        \
    MBN_R_IF_GO("ldr.w %[y0], %[bias]\n\tldr.w %[y1], %[bias]\n\t")                               \
    ".set mbn_b, 1\n\t.set mbn_p, mbn_p+2\n\t.set mbn_x, mbn_xn\n\t.set mbn_e, mbn_en\n\t"

#define MBN_R_END                                                                                 \
    "smmulr %[y2], %[y2], %[m]\n\t"                                                               \
    "smmulr %[y3], %[y3], %[m]\n\t"                                                               \
    "ssat %[y2], #8, %[y2]\n\t"                                                                   \
    "ssat %[y3], #8, %[y3]\n\t" MBN_R_STORE_B("y2", "mbn_p-2") MBN_R_STORE_B("y3", "mbn_p-1")

/* What follows a strip, if anything does. */
#define MBN_R_THEN(X, E) ".set mbn_go, 1\n\t.set mbn_xn, " X "\n\t.set mbn_en, " E "\n\t"
#define MBN_R_THEN_RIGHT ".elseif %c[right]\n\t" MBN_R_THEN("%c[xr]", "2") ".endif\n\t"

/* The left edge's strip if `left`, `inside` strips from column x on, the right edge's if `right`:
 * of the word at column xr. The first output is pixel p. */
#define MBN_R_TEXT                                                                                \
    ".set mbn_p, %c[p]\n\t.set mbn_i, %c[inside]\n\t.set mbn_go, 0\n\t"                            \
    ".set mbn_xn, 0\n\t.set mbn_en, 0\n\t"                                                        \
    ".if %c[left]\n\t.set mbn_x, 0\n\t.set mbn_e, 1\n\t"                                           \
    ".elseif %c[inside]\n\t.set mbn_x, %c[x]\n\t.set mbn_e, 0\n\t"                                 \
    ".else\n\t.set mbn_x, %c[xr]\n\t.set mbn_e, 2\n\t.endif\n\t" MBN_R_BEGIN                       \
    ".if %c[left]\n\t"                                                                           \
    ".if %c[inside]\n\t" MBN_R_THEN("%c[x]", "0") MBN_R_THEN_RIGHT MBN_R_STRIP ".endif\n\t"      \
    ".rept %c[inside]\n\t"                                                                       \
    ".set mbn_go, 0\n\t.set mbn_i, mbn_i-1\n\t"                                                  \
    ".if mbn_i\n\t" MBN_R_THEN("mbn_x+2", "0") MBN_R_THEN_RIGHT MBN_R_STRIP ".endr\n\t"           \
    ".if %c[right]\n\t.set mbn_go, 0\n\t" MBN_R_STRIP ".endif\n\t" MBN_R_END MBN_LINES_64

/* Strips of the two rows of outputs: `to` of the first one's group, the second `next` bytes
 * further. All but the pointers, bias and multiplier are constants. */
MBN_INLINE void mbn_m7_pair(const int8_t *const rows[4], const uint32_t w[5], const int32_t bias,
                            const int32_t m, int16_t *to, const int32_t p, const int32_t left,
                            const int32_t inside, const int32_t x, const int32_t right,
                            const int32_t xr, const int32_t group_halves, const int32_t next,
                            const int32_t far, const int32_t zero_point)
{
    int32_t y0, y1, y2, y3;
    uint32_t e, o, f;
    __asm__ volatile(
        MBN_R_TEXT
        : [y0] "=&r"(y0), [y1] "=&r"(y1), [y2] "=&r"(y2), [y3] "=&r"(y3), [e] "=&r"(e),
          [o] "=&r"(o), [f] "=&r"(f), [to] "+r"(to)
        : [p0] "m"(rows[0]), [p1] "m"(rows[1]), [p2] "m"(rows[2]), [p3] "m"(rows[3]),
          [w0] "r"(w[0]), [w1] "r"(w[1]), [w2] "r"(w[2]), [wa] "r"(w[3]), [wb] "r"(w[4]),
          [bias] "m"(bias), [m] "r"(m), [p] "i"(p), [left] "i"(left), [inside] "i"(inside),
          [x] "i"(x), [right] "i"(right), [xr] "i"(xr), [halves] "i"(group_halves),
          [next] "i"(next), [far] "i"(far), [zero] "i"(zero_point & 0xff)
        : "memory");
}

/* Bytes from what `to` points at to the last of a row's outputs. */
MBN_INLINE int32_t mbn_m7_pairs_reach(const int32_t width, const int32_t group_halves)
{
    const int32_t rest = (width / 2 - 2) % MBN_R_TURN;
    const int32_t last =
        width <= 2 * MBN_R_STRAIGHT + 4 ? width - 1 : 2 * (1 + rest + MBN_R_TURN) - 1;
    return 2 * mbn_dsp_place(last, group_halves);
}

MBN_INLINE int mbn_m7_pairs_serve(const int32_t width, const int32_t group_halves)
{
    return width >= 4 && width % 2 == 0 && mbn_m7_pairs_reach(width, group_halves) < MBN_R_REACH;
}

/* Two rows of one channel from four; `next` pixels from one to the other in the tile. */
MBN_INLINE void mbn_m7_rows2(const int8_t *rows[4], const int32_t *words, int16_t *to,
                             const int32_t width, const int32_t next, const int32_t group_halves,
                             const int32_t zero_point)
{
    const uint32_t w[5] = {(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                           (uint32_t)words[3], (uint32_t)words[4]};
    const int32_t bias = words[5], m = words[6], inside = width / 2 - 2;
    const int32_t bytes = 2 * mbn_dsp_place(next, group_halves);
    const int32_t far = bytes + mbn_m7_pairs_reach(width, group_halves) >= MBN_R_REACH;
    if (inside <= MBN_R_STRAIGHT) {
        mbn_m7_pair((const int8_t *const *)rows, w, bias, m, to, 0, 1, inside, 1, 1, width - 4,
                    group_halves, bytes, far, zero_point);
        return;
    }
    const int32_t rest = inside % MBN_R_TURN, turns = inside / MBN_R_TURN, last = width - 2;
    int16_t *const end = to + mbn_dsp_place(last / 3 * 3, group_halves);
    mbn_m7_pair((const int8_t *const *)rows, w, bias, m, to, 0, 1, rest, 1, 0, 0, group_halves,
                bytes, far, zero_point);
    for (int32_t k = turns; k > 0; k--) {
        mbn_m7_pair((const int8_t *const *)rows, w, bias, m, to, 2 + 2 * rest, 0, MBN_R_TURN,
                    1 + 2 * rest, 0, 0, group_halves, bytes, far, zero_point);
        MBN_UNROLL
        for (int32_t y = 0; y < 4; y++) {
            rows[y] += 2 * MBN_R_TURN;
        }
        to += mbn_dsp_place(2 * MBN_R_TURN, group_halves);
    }
    mbn_m7_pair((const int8_t *const *)rows, w, bias, m, end, last % 3, 0, 0, 0, 1,
                width - 4 - 2 * MBN_R_TURN * turns, group_halves, bytes, far, zero_point);
}

#endif

#endif
