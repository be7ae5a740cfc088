/* Depthwise 3x3, stride 2, on the Cortex-M7: a row of one channel.
 *
 * The input is pointers to three rows (even width) and a channel's words; int16 values are written
 * to the tile. A strip is one word of each row, columns 4k to 4k + 3, and two outputs. One output
 * also needs a column of the strip beside it. Its sum is carried to the next strip, so that no byte
 * is read twice; padding only changes where a sum begins. All else is as in dsp/strips2.h.
 *
 * Two outputs take 17 multiplies and 19 other instructions: 20 cycles by LLVM's model of the core,
 * in the best order found. 13 registers are taken (five of weights, three sums, two halves of a
 * word, two words, the multiplier); gcc needs one.
 */
#ifndef MBN_M7_STRIPS2_H
#define MBN_M7_STRIPS2_H

#include "dsp/strips2.h"
#include "m7/pairs.h"

#if MBN_DSP && defined(__ARM_FP)

/* The assembler's own variables. mbn_x: the strip's column, from the row pointers. mbn_p: the
 * pixel of its first output, from `to`. mbn_go: another strip follows. mbn_last: the row ends
 * with this one. mbn_old: a strip came before. Of the sums, YN is the one carried: to the next
 * strip if the map is padded on its left, else from the one before. F, G: the words. */
#define MBN_U_IF(WHEN, TEXT) ".if " WHEN "\n\t" TEXT ".endif\n\t"

/* Padded on the left: y0 has columns -1, 0, 1 of the word, y1 1, 2, 3, and the next y0 3. */
#define MBN_U_LEFT(Y0, Y1, YN, F, G)                                                              \
    "sxtb16 %[o], %[" F "], ror #8\n\t"                                                           \
    "ldr.w %[" G "], %[p1]\n\t"                                                                   \
    "ldr.w %[" Y1 "], %[bias]\n\t"                                                                \
    "smlabt %[" Y0 "], %[o], %[w0], %[" Y0 "]\n\t"                                                \
    "sxtb16 %[e], %[" F "]\n\t"                                                                   \
    "smlad %[" Y1 "], %[o], %[w0], %[" Y1 "]\n\t"                                                 \
    "ldr.w %[" YN "], %[bias]\n\t"                                                                \
    "smlatb %[" YN "], %[o], %[w0], %[" YN "]\n\t"                                                \
    "ldr.w %[" G "], [%[" G "], #mbn_x]\n\t"                                                      \
    "smlabb %[" Y0 "], %[e], %[wa], %[" Y0 "]\n\t"                                                \
    "sxtb16 %[o], %[" G "], ror #8\n\t"                                                           \
    "smlatb %[" Y1 "], %[e], %[wa], %[" Y1 "]\n\t"                                                \
    "sxtb16 %[e], %[" G "]\n\t"                                                                   \
    "smlad %[" Y1 "], %[o], %[w1], %[" Y1 "]\n\t"                                                 \
    "ldr.w %[" F "], %[p2]\n\t"                                                                   \
    "smlatb %[" YN "], %[o], %[w1], %[" YN "]\n\t"                                                \
    "smlabt %[" Y0 "], %[o], %[w1], %[" Y0 "]\n\t"                                                \
    "ldr.w %[" F "], [%[" F "], #mbn_x]\n\t"                                                      \
    "smlatt %[" Y1 "], %[e], %[wa], %[" Y1 "]\n\t"                                                \
    "sxtb16 %[o], %[" F "], ror #8\n\t"                                                           \
    "smlabt %[" Y0 "], %[e], %[wa], %[" Y0 "]\n\t"                                                \
    MBN_R_IF_GO("ldr.w %[" G "], %[p0]\n\t")                                                      \
    "smlabt %[" Y0 "], %[o], %[w2], %[" Y0 "]\n\t"                                                \
    "sxtb16 %[e], %[" F "]\n\t"                                                                   \
    "smlad %[" Y1 "], %[o], %[w2], %[" Y1 "]\n\t"                                                 \
    MBN_R_IF_GO("ldr.w %[" G "], [%[" G "], #mbn_x+4]\n\t")                                       \
    "smlabb %[" Y0 "], %[e], %[wb], %[" Y0 "]\n\t"                                                \
    "smlatb %[" Y1 "], %[e], %[wb], %[" Y1 "]\n\t"                                                \
    "ldr.w %[e], %[to]\n\t"                                                                       \
    "smmulr %[" Y0 "], %[" Y0 "], %[m]\n\t"                                                       \
    "smmulr %[" Y1 "], %[" Y1 "], %[m]\n\t"                                                       \
    "ssat %[" Y0 "], #8, %[" Y0 "]\n\t"                                                           \
    "smlatb %[" YN "], %[o], %[w2], %[" YN "]\n\t"                                                \
    "ssat %[" Y1 "], #8, %[" Y1 "]\n\t"                                                           \
    "strh.w %[" Y0 "], [%[e], " MBN_R_PLACE("mbn_p") "]\n\t"                                      \
    MBN_U_IF("1-mbn_last*%c[narrow]", "strh.w %[" Y1 "], [%[e], " MBN_R_PLACE("mbn_p+1") "]\n\t")

/* Not padded there: y0 has columns 0, 1, 2, y1 2, 3, and the one before it 0. */
#define MBN_U_FROM(Y, EDGE)                                                                       \
    ".if " EDGE "\n\tldr.w %[" Y "], %[edge]\n\t.else\n\tldr.w %[" Y "], %[bias]\n\t.endif\n\t"
#define MBN_U_FIRST(Y, K)                                                                         \
    ".if mbn_last*%c[narrow]\n\t" /* column 2 lies beside the map */                              \
    "smlabb %[" Y "], %[e], %[w" K "], %[" Y "]\n\t.else\n\t"                                      \
    "smlad %[" Y "], %[e], %[w" K "], %[" Y "]\n\t.endif\n\t"
#define MBN_U_RIGHT(Y0, Y1, YN, F, G)                                                             \
    "sxtb16 %[e], %[" F "]\n\t"                                                                   \
    MBN_U_FROM(Y1, "mbn_last") MBN_U_FROM(Y0, "mbn_last*%c[narrow]")                              \
    "smlatb %[" Y1 "], %[e], %[w0], %[" Y1 "]\n\t"                                                \
    "ldr.w %[" G "], %[p1]\n\t"                                                                   \
    MBN_U_FIRST(Y0, "0")                                                                          \
    "sxtb16 %[o], %[" F "], ror #8\n\t"                                                           \
    "smlabt %[" YN "], %[e], %[w0], %[" YN "]\n\t"                                                \
    "ldr.w %[" G "], [%[" G "], #mbn_x]\n\t"                                                      \
    "smlabb %[" Y0 "], %[o], %[wa], %[" Y0 "]\n\t"                                                \
    "sxtb16 %[e], %[" G "]\n\t"                                                                   \
    "smlatb %[" Y1 "], %[o], %[wa], %[" Y1 "]\n\t"                                                \
    "sxtb16 %[o], %[" G "], ror #8\n\t"                                                           \
    MBN_U_FIRST(Y0, "1")                                                                          \
    "ldr.w %[" F "], %[p2]\n\t"                                                                   \
    "smlabt %[" Y0 "], %[o], %[wa], %[" Y0 "]\n\t"                                                \
    MBN_R_IF_GO("ldr.w %[" G "], %[p0]\n\t")                                                      \
    "smlabt %[" YN "], %[e], %[w1], %[" YN "]\n\t"                                                \
    "ldr.w %[" F "], [%[" F "], #mbn_x]\n\t"                                                      \
    "smlatb %[" Y1 "], %[e], %[w1], %[" Y1 "]\n\t"                                                \
    "sxtb16 %[e], %[" F "]\n\t"                                                                   \
    "smlatt %[" Y1 "], %[o], %[wa], %[" Y1 "]\n\t"                                                \
    "sxtb16 %[o], %[" F "], ror #8\n\t"                                                           \
    MBN_U_FIRST(Y0, "2")                                                                          \
    MBN_R_IF_GO("ldr.w %[" G "], [%[" G "], #mbn_x+4]\n\t")                                       \
    "smlabb %[" Y0 "], %[o], %[wb], %[" Y0 "]\n\t"                                                \
    "smlabt %[" YN "], %[e], %[w2], %[" YN "]\n\t"                                                \
    "smlatb %[" Y1 "], %[e], %[w2], %[" Y1 "]\n\t"                                                \
    "ldr.w %[e], %[to]\n\t"                                                                       \
    "smmulr %[" YN "], %[" YN "], %[m]\n\t"                                                       \
    "smmulr %[" Y0 "], %[" Y0 "], %[m]\n\t"                                                       \
    "ssat %[" YN "], #8, %[" YN "]\n\t"                                                           \
    "smlatb %[" Y1 "], %[o], %[wb], %[" Y1 "]\n\t"                                                \
    "ssat %[" Y0 "], #8, %[" Y0 "]\n\t"                                                           \
    MBN_U_IF("mbn_old", "strh.w %[" YN "], [%[e], " MBN_R_PLACE("mbn_p-1") "]\n\t")               \
    "strh.w %[" Y0 "], [%[e], " MBN_R_PLACE("mbn_p") "]\n\t"

/* `strips` strips; `odd`: sums and words are where a strip leaves them for the next. */
#define MBN_U_TEXT(EVEN, ODD)                                                                     \
    ".set mbn_p, %c[p]\n\t.set mbn_x, 0\n\t.set mbn_i, %c[strips]\n\t"                             \
    ".set mbn_k, %c[odd]\n\t.set mbn_old, %c[old]\n\t"                                            \
    ".if mbn_k\n\tldr.w %[g], %[p0]\n\tldr.w %[g], [%[g]]\n\t"                                     \
    ".else\n\tldr.w %[f], %[p0]\n\tldr.w %[f], [%[f]]\n\t.endif\n\t"                              \
    ".rept %c[strips]\n\t"                                                                       \
    ".set mbn_i, mbn_i-1\n\t.set mbn_last, 0\n\t.set mbn_go, 1\n\t"                              \
    ".ifeq mbn_i\n\t.set mbn_go, 0\n\t.set mbn_last, %c[last]\n\t.endif\n\t"                     \
    ".if mbn_k\n\t" ODD ".else\n\t" EVEN ".endif\n\t"                                            \
    ".set mbn_k, 1-mbn_k\n\t.set mbn_old, 1\n\t"                                                 \
    ".set mbn_p, mbn_p+2\n\t.set mbn_x, mbn_x+4\n\t.endr\n\t"

/* The last output of a row that ends with a whole word. */
#define MBN_U_END(Y)                                                                              \
    "smmulr %[" Y "], %[" Y "], %[m]\n\t"                                                         \
    "ssat %[" Y "], #8, %[" Y "]\n\t"                                                             \
    "strh.w %[" Y "], [%[e], " MBN_R_PLACE("mbn_p-1") "]\n\t"

#define MBN_U_ASM(TEXT)                                                                           \
    __asm__ volatile(TEXT MBN_LINES_64                                                            \
                     : [a] "+r"(sums[0]), [b] "+r"(sums[1]), [c] "+r"(sums[2]), [e] "=&r"(e),     \
                       [o] "=&r"(o), [f] "=&r"(f), [g] "=&r"(g)                                   \
                     : [p0] "m"(rows[0]), [p1] "m"(rows[1]), [p2] "m"(rows[2]), [w0] "r"(w[0]),   \
                       [w1] "r"(w[1]), [w2] "r"(w[2]), [wa] "r"(w[3]), [wb] "r"(w[4]),            \
                       [bias] "m"(bias), [edge] "m"(edge), [m] "r"(m), [to] "m"(to), [p] "i"(p),  \
                       [strips] "i"(strips), [odd] "i"(odd), [old] "i"(old), [last] "i"(last),    \
                       [narrow] "i"(narrow), [halves] "i"(group_halves)                           \
                     : "memory")

/* Strips from the row pointers on; the first output is pixel p behind `to`. All but the pointers
 * and the channel's numbers are constants. */
MBN_INLINE void mbn_m7_strips2(int32_t sums[3], const int8_t *const rows[3], const uint32_t w[5],
                               const int32_t bias, const int32_t edge, const int32_t m, int16_t *to,
                               const int32_t p, const int32_t strips, const int32_t odd,
                               const int32_t old, const int32_t last, const int32_t narrow,
                               const int32_t group_halves, const int left)
{
    uint32_t e, o, f, g;
    if (left) {
        MBN_U_ASM(
            MBN_U_TEXT(MBN_U_LEFT("a", "b", "c", "f", "g"), MBN_U_LEFT("c", "b", "a", "g", "f")));
    } else {
        MBN_U_ASM(
            MBN_U_TEXT(MBN_U_RIGHT("a", "b", "c", "f", "g"), MBN_U_RIGHT("a", "c", "b", "g", "f"))
                MBN_U_IF("%c[last]*(1-%c[narrow])",
                         ".if mbn_k\n\t" MBN_U_END("b") ".else\n\t" MBN_U_END("c") ".endif\n\t"));
    }
}

#define MBN_U_STRAIGHT 12 /* strips that follow each other without a loop */
#define MBN_U_TURN 6      /* strips of a turn of the loop, where there are more: whole groups */

/* Strips before the loop, in its turns and behind it; whether stores reach all of them. */
typedef struct mbn_m7_parts {
    int32_t head;
    int32_t turns;
    int32_t tail;
    int32_t serve;
} mbn_m7_parts;

MBN_INLINE mbn_m7_parts mbn_m7_parts_of(const int32_t width, const int32_t group_halves)
{
    const int32_t strips = (width + 3) / 4;
    mbn_m7_parts parts = {strips, 0, 0, 0};
    int32_t pixels = 2 * strips;
    if (strips > MBN_U_STRAIGHT) {
        parts.turns = (strips - 2) / MBN_U_TURN;
        parts.head = strips - 1 - MBN_U_TURN * parts.turns;
        parts.tail = 1;
        pixels = 2 * (parts.head + MBN_U_TURN) + 2;
    }
    parts.serve = 2 * mbn_dsp_place(pixels, group_halves) < MBN_R_REACH;
    return parts;
}

/* A row; to: of the group whose pixel `phase` is its first output. */
MBN_INLINE void mbn_m7_row2(const int8_t *rows[3], const int32_t *words, int16_t *to,
                            const int32_t width, const int32_t phase, const int32_t group_halves,
                            const int left, const int32_t zero_point)
{
    const mbn_m7_parts parts = mbn_m7_parts_of(width, group_halves);
    if (!parts.serve) {
        mbn_dsp_strips2(rows, words, to, width, phase, group_halves, left, zero_point);
        return;
    }
    const uint32_t w[5] = {(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2],
                           (uint32_t)words[3], (uint32_t)words[4]};
    const uint32_t zero = (uint32_t)zero_point;
    int32_t edge = words[5];
    MBN_UNROLL
    for (int32_t k = 0; k < 3; k++) {
        edge = left ? mbn_smlabb(zero, w[k], edge) : mbn_smlabt(zero, w[k], edge);
    }
    const int32_t bias = words[5], m = words[6], narrow = width % 4 == 2;
    int32_t sums[3] = {edge, 0, 0};
    mbn_m7_strips2(sums, (const int8_t *const *)rows, w, bias, edge, m, to, phase, parts.head, 0, 0,
                   parts.tail == 0, narrow, group_halves, left);
    if (parts.tail == 0) {
        return;
    }
    const int32_t next = phase + 2 * parts.head, odd = parts.head % 2;
    MBN_UNROLL
    for (int32_t y = 0; y < 3; y++) {
        rows[y] += 4 * parts.head;
    }
    for (int32_t k = parts.turns; k > 0; k--) {
        mbn_m7_strips2(sums, (const int8_t *const *)rows, w, bias, edge, m, to, next, MBN_U_TURN,
                       odd, 1, 0, narrow, group_halves, left);
        MBN_UNROLL
        for (int32_t y = 0; y < 3; y++) {
            rows[y] += 4 * MBN_U_TURN;
        }
        to += mbn_dsp_place(2 * MBN_U_TURN, group_halves);
    }
    mbn_m7_strips2(sums, (const int8_t *const *)rows, w, bias, edge, m, to, next, 1, odd, 1, 1,
                   narrow, group_halves, left);
}

#endif

#endif
