/* Pointwise convolution (and any convolution after im2col) for cores with Helium.
 *
 * The tile is int8 [pixel][depth], with depth a multiple of 16 (padding may be anything, since its
 * weights are zero). The weights are one stream for each two output channels n, n + 1:
 *     for each 16 input channels: 16 weights of n, 16 of n + 1
 *     bias[n], bias[n + 1], m[n], m[n + 1], and pairs of the other words that requantise
 *     (mbn_mve_store_value in mve/instructions.h).
 * The output is up to 4 pixels of both channels' planes. One VMLADAVA is 16 multiplies and takes
 * two cycles; every load is issued during one.
 */
#ifndef MBN_MVE_POINTWISE_H
#define MBN_MVE_POINTWISE_H

#include "mve/instructions.h"

#if MBN_MVE

#define MBN_PW_W(Q) "vldrw.32 " Q ", [%[w]], #16\n\t"
#define MBN_PW_T(Q, AT) "vldrw.32 " Q ", " AT "\n\t"
#define MBN_PW_M(OP, A, W, T) OP " %[" A "], " W ", " T "\n\t"
#define MBN_PW_NEW "vmladav.s8"
#define MBN_PW_ADD "vmladava.s8"

/* Where the pixels' next 16 channels are: two pixels share a pointer while VLDRW's offset reaches
 * from one to the next (`next` is their distance less the 16 that the first has advanced). */
#define MBN_PW_T0 MBN_PW_T("q2", "[%[t0]], #16")
#define MBN_PW_T1 MBN_PW_T("q3", "[%[t0], %[next]]")
#define MBN_PW_T2 MBN_PW_T("q4", "[%[t2]], #16")
#define MBN_PW_T3 MBN_PW_T("q5", "[%[t2], %[next]]")
#define MBN_PW_FAR1 MBN_PW_T("q3", "[%[t2]], #16")

/* q0, q1 hold weights of n, n + 1; q2 to q5 the pixels. BEGIN and HEAD multiply by n's weights,
 * TAIL by the next channel's while the next 16 channels are loaded, END without. */
#define MBN_PW_BEGIN4                                                                             \
    MBN_PW_W("q0") MBN_PW_T0 MBN_PW_M(MBN_PW_NEW, "a0", "q0", "q2") MBN_PW_T1                     \
    MBN_PW_M(MBN_PW_NEW, "a1", "q0", "q3") MBN_PW_T2 MBN_PW_M(MBN_PW_NEW, "a2", "q0", "q4")       \
    MBN_PW_T3 MBN_PW_M(MBN_PW_NEW, "a3", "q0", "q5") MBN_PW_W("q1")
#define MBN_PW_HEAD4                                                                              \
    MBN_PW_M(MBN_PW_ADD, "a0", "q0", "q2") MBN_PW_W("q1") MBN_PW_M(MBN_PW_ADD, "a1", "q0", "q3")  \
    MBN_PW_M(MBN_PW_ADD, "a2", "q0", "q4") MBN_PW_M(MBN_PW_ADD, "a3", "q0", "q5")
#define MBN_PW_TAIL4(OP)                                                                          \
    MBN_PW_W("q0") MBN_PW_M(OP, "b0", "q1", "q2") MBN_PW_T0 MBN_PW_M(OP, "b1", "q1", "q3")        \
    MBN_PW_T1 MBN_PW_M(OP, "b2", "q1", "q4") MBN_PW_T2 MBN_PW_M(OP, "b3", "q1", "q5") MBN_PW_T3
#define MBN_PW_END4(OP)                                                                           \
    MBN_PW_M(OP, "b0", "q1", "q2") "vmov %q[s0][2], %q[s0][0], %[a0], %[a2]\n\t"                  \
    MBN_PW_M(OP, "b1", "q1", "q3") "vmov %q[s0][3], %q[s0][1], %[a1], %[a3]\n\t"                  \
    MBN_PW_M(OP, "b2", "q1", "q4") MBN_PW_M(OP, "b3", "q1", "q5")                                 \
    "vmov %q[s1][2], %q[s1][0], %[b0], %[b2]\n\t"                                                 \
    "vmov %q[s1][3], %q[s1][1], %[b1], %[b3]\n\t"

/* The same and, where saturation is the whole clamp, all that makes stored values of the sums; n's
 * in the shadow of the next channel's products. */
#define MBN_PW_STORED4(OP)                                                                        \
    "vmov %q[s0][2], %q[s0][0], %[a0], %[a2]\n\t" MBN_PW_M(OP, "b2", "q1", "q4")                  \
    "vmov %q[s0][3], %q[s0][1], %[a1], %[a3]\n\t" MBN_PW_M(OP, "b0", "q1", "q2")                  \
    "ldrd %[a0], %[a2], [%[w]]\n\t" MBN_PW_M(OP, "b3", "q1", "q5")                                \
    "ldrd %[a1], %[a3], [%[w], #8]\n\t" MBN_PW_M(OP, "b1", "q1", "q3")                            \
    "vadd.i32 %q[s0], %q[s0], %[a0]\n\t"                                                          \
    "vqrdmulh.s32 %q[s0], %q[s0], %[a1]\n\t"                                                      \
    "vmov %q[s1][2], %q[s1][0], %[b0], %[b2]\n\t"                                                 \
    "vmov %q[s1][3], %q[s1][1], %[b1], %[b3]\n\t"                                                 \
    "vadd.i32 %q[s1], %q[s1], %[a2]\n\t"                                                          \
    "vqrdmulh.s32 %q[s1], %q[s1], %[a3]\n\t"                                                      \
    "vqmovnb.s32 %q[s0], %q[s0]\n\t"                                                              \
    "vqmovnb.s32 %q[s1], %q[s1]\n\t"                                                              \
    "vqmovnb.s16 %q[s0], %q[s0]\n\t"                                                              \
    "vqmovnb.s16 %q[s1], %q[s1]\n\t"

/* Three pixels; the fourth lane repeats the third. */
#define MBN_PW_BEGIN3                                                                             \
    MBN_PW_W("q0") MBN_PW_T0 MBN_PW_M(MBN_PW_NEW, "a0", "q0", "q2") MBN_PW_T1                     \
    MBN_PW_M(MBN_PW_NEW, "a1", "q0", "q3") MBN_PW_T2 MBN_PW_M(MBN_PW_NEW, "a2", "q0", "q4")       \
    MBN_PW_W("q1")
#define MBN_PW_HEAD3                                                                              \
    MBN_PW_M(MBN_PW_ADD, "a0", "q0", "q2") MBN_PW_W("q1") MBN_PW_M(MBN_PW_ADD, "a1", "q0", "q3")  \
    MBN_PW_M(MBN_PW_ADD, "a2", "q0", "q4")
#define MBN_PW_TAIL3(OP)                                                                          \
    MBN_PW_W("q0") MBN_PW_M(OP, "b0", "q1", "q2") MBN_PW_T0 MBN_PW_M(OP, "b1", "q1", "q3")        \
    MBN_PW_T1 MBN_PW_M(OP, "b2", "q1", "q4") MBN_PW_T2
#define MBN_PW_END3(OP)                                                                           \
    MBN_PW_M(OP, "b0", "q1", "q2") "vmov %q[s0][2], %q[s0][0], %[a0], %[a2]\n\t"                  \
    MBN_PW_M(OP, "b1", "q1", "q3") "vmov %q[s0][3], %q[s0][1], %[a1], %[a2]\n\t"                  \
    MBN_PW_M(OP, "b2", "q1", "q4") "vmov %q[s1][2], %q[s1][0], %[b0], %[b2]\n\t"                  \
    "vmov %q[s1][3], %q[s1][1], %[b1], %[b2]\n\t"

/* Two pixels, however far apart; the lanes above repeat them. */
#define MBN_PW_BEGIN2                                                                             \
    MBN_PW_W("q0") MBN_PW_T0 MBN_PW_M(MBN_PW_NEW, "a0", "q0", "q2") MBN_PW_FAR1                   \
    MBN_PW_M(MBN_PW_NEW, "a1", "q0", "q3") MBN_PW_W("q1")
#define MBN_PW_HEAD2                                                                              \
    MBN_PW_M(MBN_PW_ADD, "a0", "q0", "q2") MBN_PW_W("q1") MBN_PW_M(MBN_PW_ADD, "a1", "q0", "q3")
#define MBN_PW_TAIL2(OP)                                                                          \
    MBN_PW_W("q0") MBN_PW_M(OP, "b0", "q1", "q2") MBN_PW_T0 MBN_PW_M(OP, "b1", "q1", "q3")        \
    MBN_PW_FAR1
#define MBN_PW_END2(OP)                                                                           \
    MBN_PW_M(OP, "b0", "q1", "q2") "vmov %q[s0][2], %q[s0][0], %[a0], %[a0]\n\t"                  \
    MBN_PW_M(OP, "b1", "q1", "q3") "vmov %q[s0][3], %q[s0][1], %[a1], %[a1]\n\t"                  \
    "vmov %q[s1][2], %q[s1][0], %[b0], %[b0]\n\t"                                                 \
    "vmov %q[s1][3], %q[s1][1], %[b1], %[b1]\n\t"

/* A row of groups, software pipelined. One turn of the loop stores channel n + 1's values of the
 * group before, computes channel n's of its own group, and loads the first pixels of the next.
 * All pixels share a pointer. The orders were found by trying orders on llvm-mca's model: 32
 * cycles at depth 16, 47 at 32. */
#define MBN_PW_R0 MBN_PW_T("q2", "[%[t0]], #16")
#define MBN_PW_R1 MBN_PW_T("q3", "[%[t0], %[d1]]")
#define MBN_PW_R2 MBN_PW_T("q4", "[%[t0], %[d2]]")
#define MBN_PW_R3 MBN_PW_T("q5", "[%[t0], %[d3]]")
#define MBN_PW_STORE0 "vstrb.32 q6, [%[out]], #4\n\t"
#define MBN_PW_STORE1 "vstrb.32 q7, [%[out], %[far]]\n\t"

#define MBN_PW_ROW_16                                                                             \
    MBN_PW_W("q0") MBN_PW_W("q1") MBN_PW_R0 MBN_PW_R1 MBN_PW_R2 MBN_PW_R3                         \
    "1:\n\t" MBN_PW_M(MBN_PW_NEW, "a2", "q0", "q4")                                               \
    "vqmovnb.s32 q7, q7\n\t" MBN_PW_M(MBN_PW_NEW, "b0", "q1", "q2")                               \
    "addw %[t0], %[t0], %[skip]\n\t" MBN_PW_M(MBN_PW_NEW, "a0", "q0", "q2")                       \
    "vqmovnb.s16 q7, q7\n\t" MBN_PW_M(MBN_PW_NEW, "b1", "q1", "q3")                               \
    "vmov q6[2], q6[0], %[a0], %[a2]\n\t" MBN_PW_M(MBN_PW_NEW, "a1", "q0", "q3")                  \
    "ldrd %[a0], %[a2], [%[w]]\n\t" MBN_PW_M(MBN_PW_NEW, "a3", "q0", "q5") MBN_PW_R0              \
    "vmov q6[3], q6[1], %[a1], %[a3]\n\t" MBN_PW_M(MBN_PW_NEW, "b2", "q1", "q4")                  \
    "ldrd %[a1], %[a3], [%[w], #8]\n\t"                                                           \
    "vadd.i32 q6, q6, %[a0]\n\t" MBN_PW_M(MBN_PW_NEW, "b3", "q1", "q5") MBN_PW_R3                 \
    "vqrdmulh.s32 q6, q6, %[a1]\n\t" MBN_PW_STORE1                                                \
    "vqmovnb.s32 q6, q6\n\t"                                                                      \
    "vmov q7[2], q7[0], %[b0], %[b2]\n\t"                                                         \
    "vmov q7[3], q7[1], %[b1], %[b3]\n\t"                                                         \
    "vadd.i32 q7, q7, %[a2]\n\t" MBN_PW_R2                                                        \
    "vqmovnb.s16 q6, q6\n\t"                                                                      \
    "vqrdmulh.s32 q7, q7, %[a3]\n\t" MBN_PW_R1 MBN_PW_STORE0                                      \
    "subs %[count], %[count], #1\n\t"                                                             \
    "bne 1b\n\t" MBN_PW_ROW_END

#define MBN_PW_ROW_END                                                                            \
    "vqmovnb.s32 q7, q7\n\t"                                                                      \
    "vqmovnb.s16 q7, q7\n\t" MBN_PW_STORE1

#define MBN_PW_ROW_DEEP                                                                           \
    MBN_PW_W("q0") MBN_PW_R0 MBN_PW_R1 MBN_PW_R2 MBN_PW_R3                                        \
    "1:\n\t" MBN_PW_M(MBN_PW_NEW, "a2", "q0", "q4")                                               \
    "vqmovnb.s32 q7, q7\n\t" MBN_PW_M(MBN_PW_NEW, "a0", "q0", "q2") MBN_PW_W("q1")                \
    MBN_PW_M(MBN_PW_NEW, "a1", "q0", "q3")                                                        \
    "vqmovnb.s16 q7, q7\n\t" MBN_PW_M(MBN_PW_NEW, "a3", "q0", "q5") MBN_PW_W("q0")                \
    MBN_PW_M(MBN_PW_NEW, "b0", "q1", "q2") MBN_PW_R0 MBN_PW_M(MBN_PW_NEW, "b1", "q1", "q3")       \
    MBN_PW_STORE1 MBN_PW_M(MBN_PW_NEW, "b2", "q1", "q4") MBN_PW_R1                                \
    MBN_PW_M(MBN_PW_NEW, "b3", "q1", "q5") MBN_PW_R2 MBN_PW_R3                                    \
    ".rept %c[n]\n\t"                                                                             \
    MBN_PW_M(MBN_PW_ADD, "a0", "q0", "q2") MBN_PW_W("q1") MBN_PW_M(MBN_PW_ADD, "a1", "q0", "q3")  \
    MBN_PW_M(MBN_PW_ADD, "a2", "q0", "q4") MBN_PW_M(MBN_PW_ADD, "a3", "q0", "q5") MBN_PW_W("q0")  \
    MBN_PW_M(MBN_PW_ADD, "b0", "q1", "q2") MBN_PW_R0 MBN_PW_M(MBN_PW_ADD, "b1", "q1", "q3")       \
    MBN_PW_R1 MBN_PW_M(MBN_PW_ADD, "b2", "q1", "q4") MBN_PW_R2                                    \
    MBN_PW_M(MBN_PW_ADD, "b3", "q1", "q5") MBN_PW_R3                                              \
    ".endr\n\t"                                                                                   \
    MBN_PW_M(MBN_PW_ADD, "a2", "q0", "q4") MBN_PW_M(MBN_PW_ADD, "a0", "q0", "q2") MBN_PW_W("q1")  \
    MBN_PW_M(MBN_PW_ADD, "a1", "q0", "q3")                                                        \
    "vmov q6[2], q6[0], %[a0], %[a2]\n\t" MBN_PW_M(MBN_PW_ADD, "a3", "q0", "q5")                  \
    "ldrd %[a0], %[a2], [%[w]]\n\t" MBN_PW_M(MBN_PW_ADD, "b3", "q1", "q5")                        \
    "vmov q6[3], q6[1], %[a1], %[a3]\n\t"                                                         \
    "ldrd %[a1], %[a3], [%[w], #8]\n\t" MBN_PW_M(MBN_PW_ADD, "b2", "q1", "q4")                    \
    "subw %[w], %[w], %[back]\n\t"                                                                \
    "addw %[t0], %[t0], %[skip]\n\t" MBN_PW_W("q0") MBN_PW_M(MBN_PW_ADD, "b0", "q1", "q2")        \
    MBN_PW_R0                                                                                     \
    "vadd.i32 q6, q6, %[a0]\n\t"                                                                  \
    "vqrdmulh.s32 q6, q6, %[a1]\n\t"                                                              \
    "vmov q7[2], q7[0], %[b0], %[b2]\n\t" MBN_PW_R3                                               \
    "vqmovnb.s32 q6, q6\n\t" MBN_PW_M(MBN_PW_ADD, "b1", "q1", "q3") MBN_PW_R1                     \
    "vqmovnb.s16 q6, q6\n\t"                                                                      \
    "vmov q7[3], q7[1], %[b1], %[b3]\n\t" MBN_PW_STORE0                                           \
    "vadd.i32 q7, q7, %[a2]\n\t"                                                                  \
    "vqrdmulh.s32 q7, q7, %[a3]\n\t" MBN_PW_R2                                                    \
    "subs %[count], %[count], #1\n\t"                                                             \
    "bne 1b\n\t" MBN_PW_ROW_END MBN_LINES_64 MBN_LINES_64

#define MBN_PW_ROW_ASM(TEXT)                                                                      \
    __asm__ volatile(TEXT                                                                         \
                     : [a0] "=&Te"(a0), [a1] "=&Te"(a1), [a2] "=&Te"(a2), [a3] "=&Te"(a3),        \
                       [b0] "=&Te"(b0), [b1] "=&Te"(b1), [b2] "=&Te"(b2), [b3] "=&Te"(b3),        \
                       [t0] "+r"(t0), [w] "+r"(w), [out] "+r"(to), [count] "+r"(left)             \
                     : [d1] "i"(depth - 16), [d2] "i"(2 * depth - 16), [d3] "i"(3 * depth - 16),  \
                       [skip] "i"(3 * depth), [back] "i"(2 * depth), [far] "i"(plane_bytes - 4),  \
                       [n] "i"(depth / 16 - 2)                                                    \
                     : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "memory", "cc")

/* `count` groups of four pixels side by side; the clamp is int8's range. The first turn has no
 * group before it: its store goes to the last four bytes of n's plane, which are computed later. */
MBN_INLINE void mbn_mve_groups(const int8_t *tile, const int32_t *stream, int8_t *out,
                               const int32_t plane_bytes, const int32_t depth, const int32_t count)
{
    int32_t a0, a1, a2, a3, b0, b1, b2, b3;
    register const int8_t *t0 __asm__("r1") = tile;
    register const int32_t *w __asm__("r3") = stream;
    register int8_t *to __asm__("r5") = out; /* VSTRB.32 takes r0 to r7 */
    register int32_t left __asm__("r9") = count;
    if (depth == 16) {
        MBN_PW_ROW_ASM(MBN_PW_ROW_16);
    } else {
        MBN_PW_ROW_ASM(MBN_PW_ROW_DEEP);
    }
}

/* VMLADAV sums into even registers (Te), and four pixels take all of them. Other operands of the
 * asm are kept in odd registers, which gcc would not choose by itself. */
#define MBN_PW_POINTERS                                                                           \
    register const int8_t *t0 __asm__("r1") = tile;                                               \
    register const int8_t *w __asm__("r3") = weights;                                             \
    register const int8_t *t2 __asm__("r5") = far;
#define MBN_PW_OUTPUTS2                                                                           \
    [a0] "=&Te"(a0), [a1] "=&Te"(a1), [b0] "=&Te"(b0), [b1] "=&Te"(b1), [t0] "+r"(t0),            \
        [t2] "+r"(t2), [w] "+r"(w), [s0] "=&w"(s0), [s1] "=&w"(s1)
#define MBN_PW_OUTPUTS3 MBN_PW_OUTPUTS2, [a2] "=&Te"(a2), [b2] "=&Te"(b2)
#define MBN_PW_OUTPUTS4 MBN_PW_OUTPUTS3, [a3] "=&Te"(a3), [b3] "=&Te"(b3)
#define MBN_PW_INPUTS [n] "i"(steps > 2 ? steps - 2 - 8 * whole_turns : 0), [next] "i"(next)
#define MBN_PW_CLOBBERS "q0", "q1", "q2", "q3", "q4", "q5", "memory", "cc"

/* The steps between the first and the last: eight in a turn if there are many and a register is
 * free to count turns. The empty lines are for gcc's estimate of the size. */
#define MBN_PW_SOME(P)                                                                            \
    MBN_PW_BEGIN##P MBN_PW_TAIL##P(MBN_PW_NEW) ".rept %c[n]\n\t" MBN_PW_HEAD##P MBN_PW_TAIL##P(   \
        MBN_PW_ADD) ".endr\n\t" MBN_LINES_64 MBN_LINES_64
#define MBN_PW_TURNS(P)                                                                           \
    "1:\n\t"                                                                                      \
    ".rept 8\n\t" MBN_PW_HEAD##P MBN_PW_TAIL##P(MBN_PW_ADD) ".endr\n\t"                           \
    "subs %[turns], %[turns], #1\n\t"                                                             \
    "bne 1b\n\t" MBN_LINES_64 MBN_LINES_64

#define MBN_PW_CHAIN(P, END)                                                                      \
    if (steps == 1) {                                                                             \
        __asm__(MBN_PW_BEGIN##P END(MBN_PW_NEW)                                                   \
                : MBN_PW_OUTPUTS##P : MBN_PW_INPUTS : MBN_PW_CLOBBERS);                           \
    } else if (steps == 2) {                                                                      \
        __asm__(MBN_PW_BEGIN##P MBN_PW_TAIL##P(MBN_PW_NEW) MBN_PW_HEAD##P END(MBN_PW_ADD)         \
                : MBN_PW_OUTPUTS##P : MBN_PW_INPUTS : MBN_PW_CLOBBERS);                           \
    } else if (steps <= 9) {                                                                     \
        __asm__(MBN_PW_SOME(P) MBN_PW_HEAD##P END(MBN_PW_ADD)                                     \
                : MBN_PW_OUTPUTS##P : MBN_PW_INPUTS : MBN_PW_CLOBBERS);                           \
    } else {                                                                                      \
        MBN_PW_MANY##P(END)                                                                       \
    }
#define MBN_PW_MANY_TURNS(P, END)                                                                 \
    __asm__(MBN_PW_SOME(P) MBN_PW_TURNS(P) MBN_PW_HEAD##P END(MBN_PW_ADD)                         \
            : MBN_PW_OUTPUTS##P, [turns] "+r"(turns) : MBN_PW_INPUTS : MBN_PW_CLOBBERS);
#define MBN_PW_MANY2(END) MBN_PW_MANY_TURNS(2, END)
#define MBN_PW_MANY3(END) MBN_PW_MANY_TURNS(3, END)
#define MBN_PW_MANY4(END)                                                                         \
    __asm__(MBN_PW_SOME(4) MBN_PW_HEAD4 END(MBN_PW_ADD) MBN_LINES_256 MBN_LINES_64                \
            : MBN_PW_OUTPUTS4 : MBN_PW_INPUTS : MBN_PW_CLOBBERS);

#define MBN_PW_NEXT_MAX 508 /* VLDRW's offset */

/* The sums of four pixels and two channels over 16 * steps products: lane p is pixel p's. */
MBN_INLINE void mbn_mve_chain4(int32x4_t sums[2], const int8_t *tile, const int8_t *far,
                               const int8_t *weights, const int32_t steps, const int stored)
{
    const int32_t next = 16 * steps - 16, whole_turns = 0;
    int32_t a0, a1, a2, a3, b0, b1, b2, b3;
    int32x4_t s0, s1;
    MBN_PW_POINTERS
    if (stored) {
        MBN_PW_CHAIN(4, MBN_PW_STORED4)
    } else {
        MBN_PW_CHAIN(4, MBN_PW_END4)
    }
    sums[0] = s0, sums[1] = s1;
}

MBN_INLINE void mbn_mve_chain3(int32x4_t sums[2], const int8_t *tile, const int8_t *far,
                               const int8_t *weights, const int32_t steps)
{
    const int32_t next = 16 * steps - 16, whole_turns = steps > 2 ? (steps - 2) / 8 : 0;
    int32_t a0, a1, a2, b0, b1, b2;
    int32x4_t s0, s1;
    MBN_PW_POINTERS
    register int32_t turns __asm__("r9") = whole_turns;
    MBN_PW_CHAIN(3, MBN_PW_END3)
    sums[0] = s0, sums[1] = s1;
}

/* One pixel is two at the same place. */
MBN_INLINE void mbn_mve_chain2(int32x4_t sums[2], const int8_t *tile, const int8_t *far,
                               const int8_t *weights, const int32_t steps)
{
    const int32_t next = 0, whole_turns = steps > 2 ? (steps - 2) / 8 : 0;
    int32_t a0, a1, b0, b1;
    int32x4_t s0, s1;
    MBN_PW_POINTERS
    register int32_t turns __asm__("r9") = whole_turns;
    MBN_PW_CHAIN(2, MBN_PW_END2)
    sums[0] = s0, sums[1] = s1;
}

/* tile: pixels 0 and 1; far: pixels 2 and 3. */
MBN_INLINE void mbn_mve_chain(int32x4_t sums[2], const int8_t *tile, const int8_t *far,
                              const int8_t *weights, const int32_t steps, const int32_t pixels,
                              const int stored)
{
    const int32_t depth = 16 * steps;
    if (pixels == 1) {
        mbn_mve_chain2(sums, tile, tile, weights, steps);
    } else if (pixels == 2) {
        mbn_mve_chain2(sums, tile, tile + depth, weights, steps);
    } else if (depth - 16 > MBN_PW_NEXT_MAX) { /* too deep for shared pointers: two and two */
        int32x4_t high[2];
        const mve_pred16_t upper = 0xff00;
        mbn_mve_chain2(sums, tile, tile + depth, weights, steps);
        mbn_mve_chain2(high, far, far + (pixels - 3) * depth, weights, steps);
        /* lanes 2 and 3 of `high` repeat lanes 0 and 1 */
        sums[0] = vpselq_s32(high[0], sums[0], upper);
        sums[1] = vpselq_s32(high[1], sums[1], upper);
    } else if (pixels == 3) {
        mbn_mve_chain3(sums, tile, far, weights, steps);
    } else {
        mbn_mve_chain4(sums, tile, far, weights, steps, stored);
    }
}

/* Four sums of channel n to their stored values, one in the low byte of each lane. tail: the words
 * behind the stream's weights. */
MBN_INLINE int32x4_t mbn_mve_requantise(int32x4_t sum, const int32_t *tail, const int32_t n,
                                        const int32_t shift, const int32_t low, const int32_t high)
{
    const int32_t m = tail[2 + n];
    sum = vaddq_n_s32(sum, tail[n]);
    if (shift == MBN_TFLITE_ANY) {
        sum = vshlq_r_s32(sum, tail[8 + n]);
        int32x4_t sign = vandq_s32(vshrq_n_s32(sum, 31), vdupq_n_s32(tail[12 + n]));
        sum = vaddq_n_s32(vaddq_s32(vqrdmulhq_n_s32(sum, m), sign), tail[10 + n]);
        sum = vaddq_n_s32(vshlq_r_s32(sum, tail[6 + n]), tail[4 + n]);
    } else if (shift == MBN_TFLITE) {
        int32x4_t sign = vshrq_n_s32(sum, 31);
        sum = vaddq_s32(vqrdmulhq_n_s32(sum, m), sign);
        sum = vshlq_r_s32(vaddq_n_s32(sum, tail[4 + n]), tail[6 + n]);
    } else if (shift > 0) {
        sum = vaddq_n_s32(vshlq_r_s32(sum, shift), tail[4 + n]);
        sum = vqrdmulhq_n_s32(sum, m);
    } else {
        sum = vqrdmulhq_n_s32(sum, m);
    }
    if (low == -128 && high == 127) {
        int16x8_t halves = vqmovnbq_s32(vreinterpretq_s16_s32(sum), sum);
        return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(halves), halves));
    }
    return vminq_s32(vmaxq_s32(sum, vdupq_n_s32(low)), vdupq_n_s32(high));
}

MBN_INLINE void mbn_mve_store(int8_t *out, int32x4_t values, const int32_t pixels)
{
    if (pixels < 4) {
        vstrbq_p_s32(out, values, vctp32q((uint32_t)pixels));
    } else {
        vstrbq_s32(out, values);
    }
}

/* `pixels` (1 to 4) pixels of output channels n and n + 1 (`channels` 2; 1: n alone).
 * tile: pixels 0 and 1; far: pixels 2 and 3. out: the first pixel in n's plane; plane_bytes to
 * n + 1's. Where `split`, pixels 2 and 3 go to other[2] and other[3], in the band's next row; the
 * two bytes before those, and the two after the first two in `out`, become anything: the caller
 * makes them later, or they are spare. All but the pointers are constants. */
MBN_INLINE int32_t mbn_mve_pointwise(const int8_t *tile, const int8_t *far, const int32_t *stream,
                                     int8_t *out, int8_t *other, const int32_t plane_bytes,
                                     const int32_t depth, const int32_t pixels,
                                     const int32_t channels, const int32_t split,
                                     const int32_t shift, const int32_t low, const int32_t high)
{
    const int stored =
        pixels == 4 && depth - 16 <= MBN_PW_NEXT_MAX && shift == 0 && low == -128 && high == 127;
    const int32_t *tail = stream + depth / 2;
    int32x4_t values[2];
    mbn_mve_chain(values, tile, far, (const int8_t *)stream, depth / 16, pixels, stored);
    MBN_UNROLL
    for (int32_t n = 0; n < channels; n++) {
        if (!stored) {
            values[n] = mbn_mve_requantise(values[n], tail, n, shift, low, high);
        }
        mbn_mve_store(out + n * plane_bytes, values[n], pixels);
        if (split) {
            mbn_mve_store(other + n * plane_bytes, values[n], pixels);
        }
    }
    return 0;
}

#else

MBN_INLINE int32_t mbn_mve_pointwise(const int8_t *tile, const int8_t *far, const int32_t *stream,
                                     int8_t *out, int8_t *other, const int32_t plane_bytes,
                                     const int32_t depth, const int32_t pixels,
                                     const int32_t channels, const int32_t split,
                                     const int32_t shift, const int32_t low, const int32_t high)
{
    const int8_t *weights = (const int8_t *)stream;
    const int32_t *tail = stream + depth / 2;
    for (int32_t p = 0; p < pixels; p++) {
        const int8_t *pixel = p < 2 ? tile + p * depth : far + (p - 2) * depth;
        int8_t *to = split && p >= 2 ? other : out;
        for (int32_t n = 0; n < channels; n++) {
            int32_t sum = tail[n];
            for (int32_t k = 0; k < depth; k++) {
                sum += pixel[k] * weights[32 * (k / 16) + 16 * n + k % 16];
            }
            to[n * plane_bytes + p] =
                mbn_mve_store_value(sum, tail[2 + n], tail + 4 + n, 2, shift, low, high);
        }
    }
    return 0;
}

#endif

/* `groups` groups of four pixels of a row, for both channels. Nothing else of the planes is
 * valid yet. On a core with Helium up to four pixels of the tile are read beyond the last group. */
MBN_INLINE int32_t mbn_mve_pointwise_row(const int8_t *tile, const int32_t *stream, int8_t *out,
                                         const int32_t plane_bytes, const int32_t depth,
                                         const int32_t groups, const int32_t shift,
                                         const int32_t low, const int32_t high)
{
#if MBN_MVE
    if (3 * depth - 16 <= MBN_PW_NEXT_MAX && plane_bytes <= 128 && shift == 0 && low == -128 &&
        high == 127) {
        mbn_mve_groups(tile, stream, out, plane_bytes, depth, groups);
        return 0;
    }
#endif
    for (int32_t g = 0; g < groups; g++) {
        const int8_t *pixel = tile + 4 * g * depth;
        mbn_mve_pointwise(pixel, pixel + 2 * depth, stream, out + 4 * g, out, plane_bytes, depth, 4,
                          2, 0, shift, low, high);
    }
    return 0;
}

#endif
