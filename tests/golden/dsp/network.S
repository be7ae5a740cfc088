/* tiny, compiled by mbn.
 *
 * Model:  deb1d855b3923536d5f726c4c6d9c2d3cee4ee7c0a57e37c659e10afb3df9b10
 * Input:  8x6x3 int8, real = 0.0078125 * (q - 0), stream
 * Output: 1x1x3 int8, real = 0.0625 * (q - 7)
 * Cost:   1983 multiply-accumulates, 195 parameters,
 *         352 bytes of arena, 392 bytes of weights and tables
 */
#if defined(__arm__) && defined(__ARM_FEATURE_DSP) && defined(__ARM_FP) && !defined(MBN_PORTABLE)
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

@ Pointwise of 1 x 3 pixels: 4 inputs, 5 output channels.
@
@ r0   tile (argument)
@ r1   stream (argument)
@ r2   out (argument), place, w0, by0
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
@ s28  at_out (output of this register tile)
@ s29  at_tile (its words)
@ s30  at_end (end of the part's streams)
    .section .text.mbn_model_pointwise_4x5_1x3_4_20_s0_0to192, "ax", %progbits
    .global mbn_model_pointwise_4x5_1x3_4_20_s0_0to192
    .hidden mbn_model_pointwise_4x5_1x3_4_20_s0_0to192
    .type   mbn_model_pointwise_4x5_1x3_4_20_s0_0to192, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_4x5_1x3_4_20_s0_0to192:
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
.Lpointwise_4x5_1x3_4_20_s0_0to192_couples2:
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
    ldr     hi0_2, [stream, #24]             @ biases
    ldr     lo0_2, [stream, #28]
    ldr     w0, [stream, #32]
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
    ldr     w0, [stream, #36]
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
    @ 
    @ 3 pixels x 1 channels, raw words: couples 2 to 2
place .req r2
far .req r3
entry .req r4
    movw    tile, #0
    movw    place, #16
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
.Lpointwise_4x5_1x3_4_20_s0_0to192_couples4:
    ldr     lo0_2, [stream, #4]              @ biases
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
    mov     by2, #128                        @ one half, where sums are 256 times as large
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
    movs    r0, #0
    add     sp, #16
    vpop    {d8-d15}
    pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}
    .cfi_endproc
    .size   mbn_model_pointwise_4x5_1x3_4_20_s0_0to192, . - mbn_model_pointwise_4x5_1x3_4_20_s0_0to192
.unreq tile
.unreq stream
.unreq at_out
.unreq at_tile
.unreq at_end

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
@ s28  at_out (output of this register tile)
@ s29  at_tile (its words)
@ s30  at_end (end of the part's streams)
    .section .text.mbn_model_pointwise_6x3_1x1_1_4_s0, "ax", %progbits
    .global mbn_model_pointwise_6x3_1x1_1_4_s0
    .hidden mbn_model_pointwise_6x3_1x1_1_4_s0
    .type   mbn_model_pointwise_6x3_1x1_1_4_s0, %function
    .p2align 2
    .thumb_func
mbn_model_pointwise_6x3_1x1_1_4_s0:
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
    @ 
    @ 1 pixels x 2 channels, raw words: couples 0 to 0
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
.Lpointwise_6x3_1x1_1_4_s0_couples2:
    ldr     hi0_0, [stream, #0]              @ biases
    ldr     lo0_0, [stream, #4]
    ldr     w0, [stream, #8]
    ldr     x0, [tile, #0]
    smlad   hi0_0, x0, w0, hi0_0
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    ldr     w0, [stream, #12]
    ldr     x0, [tile, #16]
    smlad   hi0_0, x0, w0, hi0_0
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
    ldr     w0, [stream, #16]
    ldr     x0, [tile, #32]
    smlad   hi0_0, x0, w0, hi0_0
    sxtb16  w0, w0
    smlad   lo0_0, x0, w0, lo0_0
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
    mov     by2, #128                        @ one half, where sums are 256 times as large
    sub     hi0_0, hi0_0, lo0_0              @ 256 * S1
    smmla   hi0_0, hi0_0, by1, by2
    ssat    hi0_0, #8, hi0_0, asr #8
    strb    hi0_0, [to, #1]
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
.unreq hi0_0
    @ 
    @ 1 pixels x 1 channels, raw words: couples 1 to 1
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
.Lpointwise_6x3_1x1_1_4_s0_couples4:
    ldr     lo0_0, [stream, #4]              @ biases
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
    mov     by2, #128                        @ one half, where sums are 256 times as large
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
    .size   mbn_model_pointwise_6x3_1x1_1_4_s0, . - mbn_model_pointwise_6x3_1x1_1_4_s0
.unreq tile
.unreq stream
.unreq at_out
.unreq at_tile
.unreq at_end

#endif
