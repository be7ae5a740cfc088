/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         352 bytes of arena, 392 bytes of weights and tables
 */
#if defined(__arm__) && !defined(MBN_PORTABLE) && defined(__ARM_FEATURE_DSP) && defined(__ARM_FP)
    .syntax unified
    .thumb

@ Pointwise of 1 x 3 pixels: 28 inputs, 4 output channels.
@
@ r0   tile (argument)
@ r1   stream (argument)
@ r2   out (argument), place, w0, by0
@ r3   far, w1, by1
@ r4   entry, x0, by2
@ r5   x1, to (output)
@ r6   x2
@ r7   x3
@ r8   lo0_0
@ r9   lo0_1
@ r10  lo0_2
@ r11  hi0_0
@ r12  hi0_1
@ lr   hi0_2
@ s26  at_turn (turns of a long sum that are left)
@ s28  at_out (output of this register tile)
@ s29  at_tile (its words)
@ s30  at_end (end of the part's streams)
    .section .text.mbn_model_pointwise_28x4_1x3_4_16_s0_0to192, "ax", %progbits
    .global mbn_model_pointwise_28x4_1x3_4_16_s0_0to192
    .hidden mbn_model_pointwise_28x4_1x3_4_16_s0_0to192
    .type   mbn_model_pointwise_28x4_1x3_4_16_s0_0to192, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_28x4_1x3_4_16_s0_0to192:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}
    .cfi_def_cfa_offset 40
    .cfi_offset lr, -4
    .cfi_offset r11, -8
    .cfi_offset r10, -12
    .cfi_offset r9, -16
    .cfi_offset r8, -20
    .cfi_offset r7, -24
    .cfi_offset r6, -28
    .cfi_offset r5, -32
    .cfi_offset r4, -36
    .cfi_offset r3, -40
    vpush   {d8-d15}
    .cfi_adjust_cfa_offset 64
    sub     sp, #16
    .cfi_adjust_cfa_offset 16
tile .req r0
stream .req r1
out .req r2
    strd    tile, stream, [sp]
    str     out, [sp, #8]
.unreq out
at_out .req s28
at_tile .req s29
at_end .req s30
at_turn .req s26
    @ 
    @ 3 pixels x 2 channels, raw words: couples 0 to 1
place .req r2
far .req r3
entry .req r4
    movw    tile, #0
    movw    place, #0
    ldr     entry, [sp]
    ldr     stream, [sp, #8]
    add     tile, tile, entry
    add     place, place, stream
    vmov    at_tile, tile
    vmov    at_out, place
    ldr     stream, [sp, #4]
    addw    place, stream, #144
    vmov    at_end, place
.unreq place
.unreq far
.unreq entry
w0 .req r2
w1 .req r3
x0 .req r4
x1 .req r5
x2 .req r6
x3 .req r7
lo0_0 .req r8
lo0_1 .req r9
lo0_2 .req r10
hi0_0 .req r11
hi0_1 .req r12
hi0_2 .req lr
.Lpointwise_28x4_1x3_4_16_s0_0to192_couples2:
    ldr     hi0_2, [stream, #0]              @ biases
    ldr     lo0_2, [stream, #4]
    ldr     w0, [stream, #8]
    ldr     x0, [tile, #0]
    ldr     x1, [tile, #4]
    ldr     x2, [tile, #8]
    smlad   hi0_0, x0, w0, hi0_2
    smlad   hi0_1, x1, w0, hi0_2
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_2
    smlad   lo0_1, x1, w0, lo0_2
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #12]
    ldr     x0, [tile, #16]
    ldr     x1, [tile, #20]
    ldr     x2, [tile, #24]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #16]
    ldr     x0, [tile, #32]
    ldr     x1, [tile, #36]
    ldr     x2, [tile, #40]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #20]
    ldr     x0, [tile, #48]
    ldr     x1, [tile, #52]
    ldr     x2, [tile, #56]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #24]
    ldr     x0, [tile, #64]
    ldr     x1, [tile, #68]
    ldr     x2, [tile, #72]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #28]
    ldr     x0, [tile, #80]
    ldr     x1, [tile, #84]
    ldr     x2, [tile, #88]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #32]
    ldr     x0, [tile, #96]
    ldr     x1, [tile, #100]
    ldr     x2, [tile, #104]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #36]
    ldr     x0, [tile, #112]
    ldr     x1, [tile, #116]
    ldr     x2, [tile, #120]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #40]
    ldr     x0, [tile, #128]
    ldr     x1, [tile, #132]
    ldr     x2, [tile, #136]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #44]
    ldr     x0, [tile, #144]
    ldr     x1, [tile, #148]
    ldr     x2, [tile, #152]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #48]
    ldr     x0, [tile, #160]
    ldr     x1, [tile, #164]
    ldr     x2, [tile, #168]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #52]
    ldr     x0, [tile, #176]
    ldr     x1, [tile, #180]
    ldr     x2, [tile, #184]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #56]
    ldr     x0, [tile, #192]
    ldr     x1, [tile, #196]
    ldr     x2, [tile, #200]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #60]
    ldr     x0, [tile, #208]
    ldr     x1, [tile, #212]
    ldr     x2, [tile, #216]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #64]               @ 2m
    ldr     by1, [stream, #68]
    mov     by2, #128                        @ one half, where sums are 256 times as large
    sub     hi0_0, hi0_0, lo0_0              @ 256 * S1
    sub     hi0_1, hi0_1, lo0_1              @ 256 * S1
    sub     hi0_2, hi0_2, lo0_2              @ 256 * S1
    smmla   hi0_0, hi0_0, by1, by2
    ssat    hi0_0, #8, hi0_0, asr #8
    cmp     hi0_0, #64
    it      gt
    movgt   hi0_0, #64
    smmla   hi0_1, hi0_1, by1, by2
    ssat    hi0_1, #8, hi0_1, asr #8
    cmp     hi0_1, #64
    it      gt
    movgt   hi0_1, #64
    smmla   hi0_2, hi0_2, by1, by2
    ssat    hi0_2, #8, hi0_2, asr #8
    cmp     hi0_2, #64
    it      gt
    movgt   hi0_2, #64
    strb    hi0_0, [to, #4]
    strb    hi0_1, [to, #5]
    strb    hi0_2, [to, #6]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    cmp     lo0_0, #64
    it      gt
    movgt   lo0_0, #64
    smmulr  lo0_1, lo0_1, by0
    ssat    lo0_1, #8, lo0_1
    cmp     lo0_1, #64
    it      gt
    movgt   lo0_1, #64
    smmulr  lo0_2, lo0_2, by0
    ssat    lo0_2, #8, lo0_2
    cmp     lo0_2, #64
    it      gt
    movgt   lo0_2, #64
    strb    lo0_0, [to, #0]
    strb    lo0_1, [to, #1]
    strb    lo0_2, [to, #2]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
    ldr     hi0_2, [stream, #72]             @ biases
    ldr     lo0_2, [stream, #76]
    ldr     w0, [stream, #80]
    ldr     x0, [tile, #0]
    ldr     x1, [tile, #4]
    ldr     x2, [tile, #8]
    smlad   hi0_0, x0, w0, hi0_2
    smlad   hi0_1, x1, w0, hi0_2
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_2
    smlad   lo0_1, x1, w0, lo0_2
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #84]
    ldr     x0, [tile, #16]
    ldr     x1, [tile, #20]
    ldr     x2, [tile, #24]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #88]
    ldr     x0, [tile, #32]
    ldr     x1, [tile, #36]
    ldr     x2, [tile, #40]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #92]
    ldr     x0, [tile, #48]
    ldr     x1, [tile, #52]
    ldr     x2, [tile, #56]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #96]
    ldr     x0, [tile, #64]
    ldr     x1, [tile, #68]
    ldr     x2, [tile, #72]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #100]
    ldr     x0, [tile, #80]
    ldr     x1, [tile, #84]
    ldr     x2, [tile, #88]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #104]
    ldr     x0, [tile, #96]
    ldr     x1, [tile, #100]
    ldr     x2, [tile, #104]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #108]
    ldr     x0, [tile, #112]
    ldr     x1, [tile, #116]
    ldr     x2, [tile, #120]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #112]
    ldr     x0, [tile, #128]
    ldr     x1, [tile, #132]
    ldr     x2, [tile, #136]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #116]
    ldr     x0, [tile, #144]
    ldr     x1, [tile, #148]
    ldr     x2, [tile, #152]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #120]
    ldr     x0, [tile, #160]
    ldr     x1, [tile, #164]
    ldr     x2, [tile, #168]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #124]
    ldr     x0, [tile, #176]
    ldr     x1, [tile, #180]
    ldr     x2, [tile, #184]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #128]
    ldr     x0, [tile, #192]
    ldr     x1, [tile, #196]
    ldr     x2, [tile, #200]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
    ldr     w0, [stream, #132]
    ldr     x0, [tile, #208]
    ldr     x1, [tile, #212]
    ldr     x2, [tile, #216]
    smlad   hi0_0, x0, w0, hi0_0
    smlad   hi0_1, x1, w0, hi0_1
    smlad   hi0_2, x2, w0, hi0_2
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    smlad   lo0_1, x1, w0, lo0_1
    smlad   lo0_2, x2, w0, lo0_2
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #136]              @ 2m
    ldr     by1, [stream, #140]
    mov     by2, #128                        @ one half, where sums are 256 times as large
    sub     hi0_0, hi0_0, lo0_0              @ 256 * S1
    sub     hi0_1, hi0_1, lo0_1              @ 256 * S1
    sub     hi0_2, hi0_2, lo0_2              @ 256 * S1
    smmla   hi0_0, hi0_0, by1, by2
    ssat    hi0_0, #8, hi0_0, asr #8
    cmp     hi0_0, #64
    it      gt
    movgt   hi0_0, #64
    smmla   hi0_1, hi0_1, by1, by2
    ssat    hi0_1, #8, hi0_1, asr #8
    cmp     hi0_1, #64
    it      gt
    movgt   hi0_1, #64
    smmla   hi0_2, hi0_2, by1, by2
    ssat    hi0_2, #8, hi0_2, asr #8
    cmp     hi0_2, #64
    it      gt
    movgt   hi0_2, #64
    strb    hi0_0, [to, #12]
    strb    hi0_1, [to, #13]
    strb    hi0_2, [to, #14]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    cmp     lo0_0, #64
    it      gt
    movgt   lo0_0, #64
    smmulr  lo0_1, lo0_1, by0
    ssat    lo0_1, #8, lo0_1
    cmp     lo0_1, #64
    it      gt
    movgt   lo0_1, #64
    smmulr  lo0_2, lo0_2, by0
    ssat    lo0_2, #8, lo0_2
    cmp     lo0_2, #64
    it      gt
    movgt   lo0_2, #64
    strb    lo0_0, [to, #8]
    strb    lo0_1, [to, #9]
    strb    lo0_2, [to, #10]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
.unreq w0
.unreq w1
.unreq x0
.unreq x1
.unreq x2
.unreq x3
.unreq lo0_0
.unreq lo0_1
.unreq lo0_2
.unreq hi0_0
.unreq hi0_1
.unreq hi0_2
    movs    r0, #0
    add     sp, #16
    vpop    {d8-d15}
    pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .cfi_endproc
    .size   mbn_model_pointwise_28x4_1x3_4_16_s0_0to192, . - mbn_model_pointwise_28x4_1x3_4_16_s0_0to192
.unreq tile
.unreq stream
.unreq at_out
.unreq at_tile
.unreq at_end
.unreq at_turn

@ Depthwise 3x3, stride 1: 4 rows of 3 outputs, 4 channels.
@
@ r0   words (argument), w0
@ r1   tile (argument), w1
@ r2   row0 (argument), w2
@ r3   row1 (argument), wa
@ r4   e, wb
@ r5   spare, e
@ r6   o
@ r7   y0
@ r8   y1
@ r9   y2
@ r10  y3
@ r11  x
@ r12  m, y4
@ lr   to, y5
@ s0   at_words
@ s1   at_to
@ s2   at_x
@ s3   at_end
@ s4   at_whole
@ s5   at_half
@ s6   bias
@ s7   at_left
@ s8   at_right
@ s9   doubled
@ s10  in0 (input row)
@ s11  in1 (input row)
@ s12  in2 (input row)
@ s13  at_line
@ s14  at_row
@ s15  turns
@ s16  x_kept
    .section .text.mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192, "ax", %progbits
    .global mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192
    .hidden mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192
    .type   mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192, %function
    .p2align 2
    .thumb_func
mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}
    .cfi_def_cfa_offset 40
    .cfi_offset lr, -4
    .cfi_offset r11, -8
    .cfi_offset r10, -12
    .cfi_offset r9, -16
    .cfi_offset r8, -20
    .cfi_offset r7, -24
    .cfi_offset r6, -28
    .cfi_offset r5, -32
    .cfi_offset r4, -36
    .cfi_offset r3, -40
    vpush   {d8}
    .cfi_adjust_cfa_offset 8
    sub     sp, #24
    .cfi_adjust_cfa_offset 24
words .req r0
tile .req r1
row0 .req r2
row1 .req r3
at_words .req s0
at_to .req s1
at_x .req s2
at_end .req s3
at_whole .req s4
at_half .req s5
bias .req s6
at_left .req s7
at_right .req s8
doubled .req s9
e .req r4
spare .req r5
    str     row0, [sp, #0]                   @ row0_slot
    str     row1, [sp, #4]                   @ row1_slot
    ldr     e, [sp, #72]
    str     e, [sp, #8]                      @ row2_slot
    ldr     e, [sp, #76]
    str     e, [sp, #12]                     @ row3_slot
    ldr     e, [sp, #80]
    str     e, [sp, #16]                     @ row4_slot
    ldr     e, [sp, #84]
    str     e, [sp, #20]                     @ row5_slot
    vmov    at_words, words
    vmov    at_to, tile
    addw    e, words, #56
    vmov    at_end, e
    addw    e, words, #112
    vmov    at_whole, e
    addw    e, tile, #2
    vmov    at_half, e
    mov     e, #0
    vmov    at_x, e
in0 .req s10
in1 .req s11
in2 .req s12
at_line .req s13
at_row .req s14
turns .req s15
x_kept .req s16
.unreq words
.unreq tile
.unreq row0
.unreq row1
.unreq e
.unreq spare
w0 .req r0
w1 .req r1
w2 .req r2
wa .req r3
wb .req r4
e .req r5
o .req r6
y0 .req r7
y1 .req r8
y2 .req r9
y3 .req r10
x .req r11
m .req r12
to .req lr
y4 .req r12
y5 .req lr
.Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_channels:
    vmov    e, at_words
    ldr     w0, [e, #0]                      @ weights and bias
    ldr     w1, [e, #4]
    ldr     w2, [e, #8]
    ldr     wa, [e, #12]
    ldr     wb, [e, #16]
    ldr     y0, [e, #20]
    vmov    bias, y0
    ldr     y1, [e, #24]
    vmov    doubled, y1
    addw    e, e, #28
    vmov    at_words, e
    movw    o, #65408                        @ the zero point
    smlabb  y1, o, w0, y0
    smlabb  y1, o, w1, y1
    smlabb  y1, o, w2, y1
    vmov    at_left, y1
    smlabt  y1, o, w0, y0
    smlabt  y1, o, w1, y1
    smlabt  y1, o, w2, y1
    vmov    at_right, y1
    vmov    e, at_to
    vmov    at_line, e
    mov     e, sp
    vmov    at_row, e
.Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_lines1:
    vmov    e, at_row
    vmov    x, at_x
    vldr    in0, [e, #0]
    vldr    in1, [e, #4]
    vldr    in2, [e, #8]
    add     e, e, #4
    vmov    at_row, e
    vmov    o, in0
    ldr     e, [o, x]
    sxtb16  o, e, ror #8
    sxtb16  e, e
    vmov    y0, bias
    vmov    y4, at_left
    vmov    y5, at_right
    smlad   y0, e, w0, y0
    smlabb  y0, o, wa, y0
    smlabb  y4, e, wa, y4
    smlabt  y4, o, w0, y4
    smlabb  y5, o, w0, y5
    smlatb  y5, e, wa, y5
    vmov    o, in1
    ldr     e, [o, x]
    sxtb16  o, e, ror #8
    sxtb16  e, e
    smlad   y0, e, w1, y0
    smlabt  y0, o, wa, y0
    smlabt  y4, e, wa, y4
    smlabt  y4, o, w1, y4
    smlabb  y5, o, w1, y5
    smlatt  y5, e, wa, y5
    vmov    o, in2
    ldr     e, [o, x]
    sxtb16  o, e, ror #8
    sxtb16  e, e
    smlad   y0, e, w2, y0
    smlabb  y0, o, wb, y0
    smlabb  y4, e, wb, y4
    smlabt  y4, o, w2, y4
    smlabb  y5, o, w2, y5
    smlatb  y5, e, wb, y5
    vmov    e, doubled
    smmulr  y0, y0, e
    ssat    y0, #8, y0
    cmp     y0, #64
    it      gt
    movgt   y0, #64
    smmulr  y4, y4, e
    ssat    y4, #8, y4
    cmp     y4, #64
    it      gt
    movgt   y4, #64
    smmulr  y5, y5, e
    ssat    y5, #8, y5
    cmp     y5, #64
    it      gt
    movgt   y5, #64
    vmov    o, at_line
    strh    y0, [o, #4]
    strh    y4, [o, #0]
    strh    y5, [o, #8]
    vmov    e, at_line
    addw    e, e, #32
    vmov    at_line, e
    vmov    e, at_row
    add     o, sp, #16
    cmp     e, o
    bne.w   .Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_lines1
    vmov    e, at_x
    addw    e, e, #4
    vmov    at_x, e
    vmov    e, at_to
    addw    e, e, #16
    vmov    at_to, e
    vmov    e, at_words
    vmov    o, at_end
    cmp     e, o
    bne.w   .Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_channels
    @ the second half of the channels, in the high halves
    vmov    o, at_whole
    cmp     e, o
    beq     .Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_done
    vmov    at_end, o
    vmov    e, at_half
    vmov    at_to, e
    b.w     .Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_channels
.Ldepthwise_s1_4x4x3_2x4_4_zero0_s0_0to192_done:
    movs    r0, #0
    add     sp, #24
    vpop    {d8}
    pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .cfi_endproc
    .size   mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192, . - mbn_model_depthwise_s1_4x4x3_2x4_4_zero0_s0_0to192
.unreq at_words
.unreq at_to
.unreq at_x
.unreq at_end
.unreq at_whole
.unreq at_half
.unreq bias
.unreq at_left
.unreq at_right
.unreq doubled
.unreq in0
.unreq in1
.unreq in2
.unreq at_line
.unreq at_row
.unreq turns
.unreq x_kept
.unreq w0
.unreq w1
.unreq w2
.unreq wa
.unreq wb
.unreq e
.unreq o
.unreq y0
.unreq y1
.unreq y2
.unreq y3
.unreq x
.unreq m
.unreq to
.unreq y4
.unreq y5

@ Pointwise of 4 x 3 pixels: 4 inputs, 5 output channels.
@
@ r0   tile (argument)
@ r1   stream (argument)
@ r2   out (argument), place, w0, by0, end
@ r3   far, w1, by1
@ r4   entry, x0, by2
@ r5   x1, to (output)
@ r6   x2
@ r7   x3
@ r8   lo0_0, w2
@ r9   lo0_1, w3
@ r10  lo0_2, lo0_0
@ r11  hi0_0, lo0_1
@ r12  hi0_1, lo0_2
@ lr   hi0_2
@ s26  at_turn (turns of a long sum that are left)
@ s28  at_out (output of this register tile)
@ s29  at_tile (its words)
@ s30  at_end (end of the part's streams)
    .section .text.mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked, "ax", %progbits
    .global mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked
    .hidden mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked
    .type   mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}
    .cfi_def_cfa_offset 40
    .cfi_offset lr, -4
    .cfi_offset r11, -8
    .cfi_offset r10, -12
    .cfi_offset r9, -16
    .cfi_offset r8, -20
    .cfi_offset r7, -24
    .cfi_offset r6, -28
    .cfi_offset r5, -32
    .cfi_offset r4, -36
    .cfi_offset r3, -40
    vpush   {d8-d15}
    .cfi_adjust_cfa_offset 64
    sub     sp, #16
    .cfi_adjust_cfa_offset 16
tile .req r0
stream .req r1
out .req r2
    strd    tile, stream, [sp]
    str     out, [sp, #8]
.unreq out
at_out .req s28
at_tile .req s29
at_end .req s30
at_turn .req s26
    @ 
    @ 3 pixels x 2 channels, words unpacked: couples 0 to 1
place .req r2
far .req r3
entry .req r4
    movw    entry, #:lower16:.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_table0
    movt    entry, #:upper16:.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_table0
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_places1:
    ldr     tile, [entry], #4                @ bytes from the tile's start
    ldr     place, [entry], #4               @ and from the output's, of pixel 0
    str     entry, [sp, #12]
    ldr     entry, [sp]
    ldr     stream, [sp, #8]
    add     tile, tile, entry
    add     place, place, stream
    vmov    at_tile, tile
    vmov    at_out, place
    ldr     stream, [sp, #4]
    addw    place, stream, #48
    vmov    at_end, place
.unreq place
.unreq far
.unreq entry
w0 .req r2
w1 .req r3
x0 .req r4
x1 .req r5
x2 .req r6
x3 .req r7
lo0_0 .req r8
lo0_1 .req r9
lo0_2 .req r10
hi0_0 .req r11
hi0_1 .req r12
hi0_2 .req lr
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_couples2:
    ldr     lo0_2, [stream, #0]              @ biases
    ldr     hi0_2, [stream, #4]
    ldr     w0, [stream, #8]
    ldr     x0, [tile, #0]
    ldr     x1, [tile, #4]
    ldr     x2, [tile, #8]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_2
    smlad   hi0_0, x0, w0, hi0_2
    smlad   lo0_1, x1, w1, lo0_2
    smlad   hi0_1, x1, w0, hi0_2
    smlad   lo0_2, x2, w1, lo0_2
    smlad   hi0_2, x2, w0, hi0_2
    ldr     w0, [stream, #12]
    ldr     x0, [tile, #16]
    ldr     x1, [tile, #20]
    ldr     x2, [tile, #24]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_0
    smlad   hi0_0, x0, w0, hi0_0
    smlad   lo0_1, x1, w1, lo0_1
    smlad   hi0_1, x1, w0, hi0_1
    smlad   lo0_2, x2, w1, lo0_2
    smlad   hi0_2, x2, w0, hi0_2
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #16]               @ 2m
    ldr     by1, [stream, #20]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    cmp     lo0_0, #64
    it      gt
    movgt   lo0_0, #64
    smmulr  lo0_1, lo0_1, by0
    ssat    lo0_1, #8, lo0_1
    cmp     lo0_1, #64
    it      gt
    movgt   lo0_1, #64
    smmulr  lo0_2, lo0_2, by0
    ssat    lo0_2, #8, lo0_2
    cmp     lo0_2, #64
    it      gt
    movgt   lo0_2, #64
    strb    lo0_0, [to, #0]
    strb    lo0_1, [to, #1]
    strb    lo0_2, [to, #2]
    smmulr  hi0_0, hi0_0, by1
    ssat    hi0_0, #8, hi0_0
    cmp     hi0_0, #64
    it      gt
    movgt   hi0_0, #64
    smmulr  hi0_1, hi0_1, by1
    ssat    hi0_1, #8, hi0_1
    cmp     hi0_1, #64
    it      gt
    movgt   hi0_1, #64
    smmulr  hi0_2, hi0_2, by1
    ssat    hi0_2, #8, hi0_2
    cmp     hi0_2, #64
    it      gt
    movgt   hi0_2, #64
    strb    hi0_0, [to, #4]
    strb    hi0_1, [to, #5]
    strb    hi0_2, [to, #6]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
    ldr     lo0_2, [stream, #24]             @ biases
    ldr     hi0_2, [stream, #28]
    ldr     w0, [stream, #32]
    ldr     x0, [tile, #0]
    ldr     x1, [tile, #4]
    ldr     x2, [tile, #8]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_2
    smlad   hi0_0, x0, w0, hi0_2
    smlad   lo0_1, x1, w1, lo0_2
    smlad   hi0_1, x1, w0, hi0_2
    smlad   lo0_2, x2, w1, lo0_2
    smlad   hi0_2, x2, w0, hi0_2
    ldr     w0, [stream, #36]
    ldr     x0, [tile, #16]
    ldr     x1, [tile, #20]
    ldr     x2, [tile, #24]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_0
    smlad   hi0_0, x0, w0, hi0_0
    smlad   lo0_1, x1, w1, lo0_1
    smlad   hi0_1, x1, w0, hi0_1
    smlad   lo0_2, x2, w1, lo0_2
    smlad   hi0_2, x2, w0, hi0_2
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #40]               @ 2m
    ldr     by1, [stream, #44]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    cmp     lo0_0, #64
    it      gt
    movgt   lo0_0, #64
    smmulr  lo0_1, lo0_1, by0
    ssat    lo0_1, #8, lo0_1
    cmp     lo0_1, #64
    it      gt
    movgt   lo0_1, #64
    smmulr  lo0_2, lo0_2, by0
    ssat    lo0_2, #8, lo0_2
    cmp     lo0_2, #64
    it      gt
    movgt   lo0_2, #64
    strb    lo0_0, [to, #8]
    strb    lo0_1, [to, #9]
    strb    lo0_2, [to, #10]
    smmulr  hi0_0, hi0_0, by1
    ssat    hi0_0, #8, hi0_0
    cmp     hi0_0, #64
    it      gt
    movgt   hi0_0, #64
    smmulr  hi0_1, hi0_1, by1
    ssat    hi0_1, #8, hi0_1
    cmp     hi0_1, #64
    it      gt
    movgt   hi0_1, #64
    smmulr  hi0_2, hi0_2, by1
    ssat    hi0_2, #8, hi0_2
    cmp     hi0_2, #64
    it      gt
    movgt   hi0_2, #64
    strb    hi0_0, [to, #12]
    strb    hi0_1, [to, #13]
    strb    hi0_2, [to, #14]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
.unreq w0
.unreq w1
.unreq x0
.unreq x1
.unreq x2
.unreq x3
.unreq lo0_0
.unreq lo0_1
.unreq lo0_2
.unreq hi0_0
.unreq hi0_1
.unreq hi0_2
entry .req r4
end .req r2
    ldr     entry, [sp, #12]
    ldr     end, [entry]
    cmn     end, #1
    bne.w   .Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_places1
.unreq entry
.unreq end
    @ 
    @ 3 pixels x 1 channels, words unpacked: couples 2 to 2
place .req r2
far .req r3
entry .req r4
    movw    entry, #:lower16:.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_table1
    movt    entry, #:upper16:.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_table1
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_places3:
    ldr     tile, [entry], #4                @ bytes from the tile's start
    ldr     place, [entry], #4               @ and from the output's, of pixel 0
    str     entry, [sp, #12]
    ldr     entry, [sp]
    ldr     stream, [sp, #8]
    add     tile, tile, entry
    add     place, place, stream
    vmov    at_tile, tile
    vmov    at_out, place
    ldr     stream, [sp, #4]
    addw    stream, stream, #48
    addw    place, stream, #24
    vmov    at_end, place
.unreq place
.unreq far
.unreq entry
w0 .req r2
w1 .req r3
x0 .req r4
x1 .req r5
x2 .req r6
x3 .req r7
w2 .req r8
w3 .req r9
lo0_0 .req r10
lo0_1 .req r11
lo0_2 .req r12
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_couples4:
    ldr     lo0_2, [stream, #0]              @ biases
    ldr     w0, [stream, #8]
    ldr     x0, [tile, #0]
    ldr     x1, [tile, #4]
    ldr     x2, [tile, #8]
    sxtb16  w1, w0
    smlad   lo0_0, x0, w1, lo0_2
    smlad   lo0_1, x1, w1, lo0_2
    smlad   lo0_2, x2, w1, lo0_2
    ldr     w0, [stream, #12]
    ldr     x0, [tile, #16]
    ldr     x1, [tile, #20]
    ldr     x2, [tile, #24]
    sxtb16  w1, w0
    smlad   lo0_0, x0, w1, lo0_0
    smlad   lo0_1, x1, w1, lo0_1
    smlad   lo0_2, x2, w1, lo0_2
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #16]               @ 2m
    ldr     by1, [stream, #20]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    cmp     lo0_0, #64
    it      gt
    movgt   lo0_0, #64
    smmulr  lo0_1, lo0_1, by0
    ssat    lo0_1, #8, lo0_1
    cmp     lo0_1, #64
    it      gt
    movgt   lo0_1, #64
    smmulr  lo0_2, lo0_2, by0
    ssat    lo0_2, #8, lo0_2
    cmp     lo0_2, #64
    it      gt
    movgt   lo0_2, #64
    strb    lo0_0, [to, #0]
    strb    lo0_1, [to, #1]
    strb    lo0_2, [to, #2]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
.unreq w0
.unreq w1
.unreq x0
.unreq x1
.unreq x2
.unreq x3
.unreq w2
.unreq w3
.unreq lo0_0
.unreq lo0_1
.unreq lo0_2
entry .req r4
end .req r2
    ldr     entry, [sp, #12]
    ldr     end, [entry]
    cmn     end, #1
    bne.w   .Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_places3
.unreq entry
.unreq end
    movs    r0, #0
    add     sp, #16
    vpop    {d8-d15}
    pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .cfi_endproc
    .size   mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked, . - mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked
.unreq tile
.unreq stream
.unreq at_out
.unreq at_tile
.unreq at_end
.unreq at_turn
    .section .rodata.mbn_model_pointwise_4x5_4x3_4_20_s0_0to192_unpacked, "a", %progbits
    .p2align 2
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_table0:
    .word   0, 0, 32, 20, 64, 40, 96, 60
    .word   -1
.Lpointwise_4x5_4x3_4_20_s0_0to192_unpacked_table1:
    .word   0, 16, 32, 36, 64, 56, 96, 76
    .word   -1

@ Pointwise of 1 x 1 pixels: 6 inputs, 3 output channels.
@
@ r0   tile (argument)
@ r1   stream (argument)
@ r2   out (argument), place, w0, by0
@ r3   far, w1, by1
@ r4   entry, x0, by2
@ r5   x1, to (output)
@ r6   x2
@ r7   x3
@ r8   w2
@ r9   w3
@ r10  lo0_0
@ r11  hi0_0
@ s26  at_turn (turns of a long sum that are left)
@ s28  at_out (output of this register tile)
@ s29  at_tile (its words)
@ s30  at_end (end of the part's streams)
    .section .text.mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked, "ax", %progbits
    .global mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked
    .hidden mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked
    .type   mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked:
    .cfi_startproc
    push    {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}
    .cfi_def_cfa_offset 40
    .cfi_offset lr, -4
    .cfi_offset r11, -8
    .cfi_offset r10, -12
    .cfi_offset r9, -16
    .cfi_offset r8, -20
    .cfi_offset r7, -24
    .cfi_offset r6, -28
    .cfi_offset r5, -32
    .cfi_offset r4, -36
    .cfi_offset r3, -40
    vpush   {d8-d15}
    .cfi_adjust_cfa_offset 64
    sub     sp, #16
    .cfi_adjust_cfa_offset 16
tile .req r0
stream .req r1
out .req r2
    strd    tile, stream, [sp]
    str     out, [sp, #8]
.unreq out
at_out .req s28
at_tile .req s29
at_end .req s30
at_turn .req s26
    @ 
    @ 1 pixels x 2 channels, words unpacked: couples 0 to 0
place .req r2
far .req r3
entry .req r4
    movw    tile, #0
    movw    place, #0
    ldr     entry, [sp]
    ldr     stream, [sp, #8]
    add     tile, tile, entry
    add     place, place, stream
    vmov    at_tile, tile
    vmov    at_out, place
    ldr     stream, [sp, #4]
    addw    place, stream, #28
    vmov    at_end, place
.unreq place
.unreq far
.unreq entry
w0 .req r2
w1 .req r3
x0 .req r4
x1 .req r5
x2 .req r6
x3 .req r7
w2 .req r8
w3 .req r9
lo0_0 .req r10
hi0_0 .req r11
.Lpointwise_6x3_1x1_1_4_s0_unpacked_couples2:
    ldr     lo0_0, [stream, #0]              @ biases
    ldr     hi0_0, [stream, #4]
    ldr     w0, [stream, #8]
    ldr     x0, [tile, #0]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_0
    smlad   hi0_0, x0, w0, hi0_0
    ldr     w0, [stream, #12]
    ldr     x0, [tile, #16]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_0
    smlad   hi0_0, x0, w0, hi0_0
    ldr     w0, [stream, #16]
    ldr     x0, [tile, #32]
    sxtb16  w1, w0
    sxtb16  w0, w0, ror #8
    smlad   lo0_0, x0, w1, lo0_0
    smlad   hi0_0, x0, w0, hi0_0
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #20]               @ 2m
    ldr     by1, [stream, #24]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    strb    lo0_0, [to, #0]
    smmulr  hi0_0, hi0_0, by1
    ssat    hi0_0, #8, hi0_0
    strb    hi0_0, [to, #1]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
.unreq w0
.unreq w1
.unreq x0
.unreq x1
.unreq x2
.unreq x3
.unreq w2
.unreq w3
.unreq lo0_0
.unreq hi0_0
    @ 
    @ 1 pixels x 1 channels, words unpacked: couples 1 to 1
place .req r2
far .req r3
entry .req r4
    movw    tile, #0
    movw    place, #2
    ldr     entry, [sp]
    ldr     stream, [sp, #8]
    add     tile, tile, entry
    add     place, place, stream
    vmov    at_tile, tile
    vmov    at_out, place
    ldr     stream, [sp, #4]
    addw    stream, stream, #28
    addw    place, stream, #28
    vmov    at_end, place
.unreq place
.unreq far
.unreq entry
w0 .req r2
w1 .req r3
x0 .req r4
x1 .req r5
x2 .req r6
x3 .req r7
w2 .req r8
w3 .req r9
lo0_0 .req r10
.Lpointwise_6x3_1x1_1_4_s0_unpacked_couples4:
    ldr     lo0_0, [stream, #0]              @ biases
    ldr     w0, [stream, #8]
    ldr     x0, [tile, #0]
    sxtb16  w1, w0
    smlad   lo0_0, x0, w1, lo0_0
    ldr     w0, [stream, #12]
    ldr     x0, [tile, #16]
    sxtb16  w1, w0
    smlad   lo0_0, x0, w1, lo0_0
    ldr     w0, [stream, #16]
    ldr     x0, [tile, #32]
    sxtb16  w1, w0
    smlad   lo0_0, x0, w1, lo0_0
.unreq w0
by0 .req r2
.unreq w1
by1 .req r3
.unreq x0
by2 .req r4
.unreq x1
to .req r5
    vmov    to, at_out
    ldr     by0, [stream, #20]               @ 2m
    ldr     by1, [stream, #24]
    smmulr  lo0_0, lo0_0, by0
    ssat    lo0_0, #8, lo0_0
    strb    lo0_0, [to, #0]
.unreq by0
w0 .req r2
.unreq by1
w1 .req r3
.unreq by2
x0 .req r4
.unreq to
x1 .req r5
.unreq w0
.unreq w1
.unreq x0
.unreq x1
.unreq x2
.unreq x3
.unreq w2
.unreq w3
.unreq lo0_0
    movs    r0, #0
    add     sp, #16
    vpop    {d8-d15}
    pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .cfi_endproc
    .size   mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked, . - mbn_model_pointwise_6x3_1x1_1_4_s0_unpacked
.unreq tile
.unreq stream
.unreq at_out
.unreq at_tile
.unreq at_end
.unreq at_turn

#endif
